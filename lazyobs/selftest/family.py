# SPDX-License-Identifier: MIT
"""Processes forked in a scenario. Each goes on only when told, so that events can be read while all stand still."""

from __future__ import annotations

import json
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from lazyobs.selftest.memory import Memory
from lazyobs.selftest.pattern import WrongPage
from lazyobs.unix.fork import die_with_parent, fork


class Home(Protocol):
    """What a child is born into: a stage."""

    memory: Memory
    facts: dict[str, int]
    children: list[Any]

    def pids(self) -> list[int]: ...


H = TypeVar("H", bound=Home)


class Child(Generic[H]):
    """A forked process that runs ``body``, a generator: one part of it for each ``advance``.

    Its content is checked after each part; wrong pages come back with the answer.
    """

    def __init__(self, stage: H, body: Callable[[H], Iterator[None]], name: str) -> None:
        self._stage, self.name = stage, name
        self._down, self._up = os.pipe(), os.pipe()
        self.descendants: list[int] = []
        parent = os.getpid()
        self.pid = fork()
        if self.pid == 0:
            die_with_parent(parent=parent)
            _live(stage, body, name, self._down, self._up)
        os.close(self._down[0])
        os.close(self._up[1])
        stage.children.append(self)

    def advance(self) -> dict[str, Any]:
        """Runs the next part. Facts that the child states come back; its wrong pages join ours."""
        os.write(self._down[1], b"n")
        answer = _read_line(self._up[0])
        if answer is None:
            _, status = os.waitpid(self.pid, 0)
            raise RuntimeError(f"{self.name} ended with wait status {status:#x}")
        if "error" in answer:
            raise RuntimeError(f"{self.name}: {answer['error']}")
        self.descendants = answer["pids"]
        self._stage.memory.checked += answer["checked"]
        self._stage.memory.wrong += [WrongPage(**page) for page in answer["wrong"]]
        facts: dict[str, Any] = answer["facts"]
        return facts

    def set_off(self) -> None:
        """Begins the next part and does not wait for it: the child may never come to its end."""
        os.write(self._down[1], b"n")

    def end(self) -> None:
        """Lets it exit, and waits. RuntimeError unless it exits with 0."""
        # Not by closing the pipe: younger children hold it too.
        os.write(self._down[1], b"q")
        _, status = os.waitpid(self.pid, 0)
        self._gone()
        if status != 0:
            raise RuntimeError(f"{self.name} ended with wait status {status:#x}")

    def kill(self) -> None:
        """Ends it wherever it is."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self._gone()

    def _gone(self) -> None:
        os.close(self._down[1])
        os.close(self._up[0])
        self._stage.children.remove(self)


def _live(stage: H, body: Callable[[H], Iterator[None]], name: str, down: tuple[int, int], up: tuple[int, int]) -> None:
    """The child's life; never returns."""
    try:
        os.close(down[1])
        os.close(up[0])
        stage.children = []
        stage.memory.checked = 0
        parts = body(stage)
        while os.read(down[0], 1) == b"n":
            _send(up[1], _part(stage, parts, name))
        for child in list(stage.children):
            child.end()
    except BaseException:
        _send(up[1], {"error": traceback.format_exc().strip().splitlines()[-1]})
        os._exit(1)
    os._exit(0)


def _part(stage: Home, parts: Iterator[None], name: str) -> dict[str, Any]:
    stage.facts = {}
    stage.memory.wrong, stage.memory.checked = [], 0
    next(parts, None)
    stage.memory.check(name)
    return {
        "pids": stage.pids()[1:],
        "checked": stage.memory.checked,
        "wrong": [page.as_json() for page in stage.memory.wrong[:20]],
        "facts": stage.facts,
    }


def _send(fd: int, document: dict[str, Any]) -> None:
    line = json.dumps(document).encode() + b"\n"
    while line:
        line = line[os.write(fd, line) :]


def _read_line(fd: int) -> dict[str, Any] | None:
    text = b""
    while not text.endswith(b"\n"):
        part = os.read(fd, 65536)
        if not part:
            return None
        text += part
    answer: dict[str, Any] = json.loads(text)
    return answer
