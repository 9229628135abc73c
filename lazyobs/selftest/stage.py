# SPDX-License-Identifier: MIT
"""What a scenario works with in its process: memory, children, threads, facts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from lazyobs.selftest import family
from lazyobs.selftest.memory import Memory
from lazyobs.selftest.threads import Threads

Body = Callable[["Stage"], Iterator[None]]  # what a child does; one part per yield


def writes(addresses: list[int] | None = None) -> Body:
    """Body of a child that keeps its inherited pages, then writes ``addresses`` (default: all) in part two."""

    def body(inside: Stage) -> Iterator[None]:
        yield
        inside.memory.fill(list(inside.memory.pages) if addresses is None else addresses)
        yield

    return body


class Skip(Exception):
    """The scenario cannot run here; the message says why."""


class Stage:
    """``settings``: what ``set_up`` returned for each feature of the scenario ("swap": ...)."""

    def __init__(self, seed: int, settings: dict[str, Any]) -> None:
        # The seed selects the first mark; a scenario writes far fewer than 0x4000 marks.
        self.memory = Memory(1 + seed % 0x3FFF)
        self.settings = settings
        self.children: list[family.Child[Stage]] = []
        self.facts: dict[str, int] = {}
        self.notes: list[str] = []
        self.cpus = os.sched_getaffinity(0)

    def fork(self, body: Body, name: str = "child") -> family.Child[Stage]:
        return family.Child(self, body, name)

    def threads(self, count: int) -> Threads:
        """Threads that wait for work. Create them in a set-up step: each maps its own stack."""
        return Threads(count)

    def use_all_cpus(self) -> None:
        """Lets threads and children race on all CPUs; until then the scenario runs on one."""
        os.sched_setaffinity(0, self.cpus)

    def fact(self, **values: int) -> None:
        """Reports facts that the step's expectation checks."""
        self.facts.update(values)

    def note(self, text: str) -> None:
        """Adds a line that explains a failure."""
        self.notes.append(text)

    def pids(self) -> list[int]:
        """This process and its living descendants."""
        found = [os.getpid()]
        for child in self.children:
            found += [child.pid, *child.descendants]
        return found

    @staticmethod
    def wait_until(true: Callable[[], bool], seconds: float = 20.0, pause: float = 0.002) -> bool:
        """Polls until ``true()`` holds; False on timeout. Times in seconds."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                return False
            time.sleep(pause)
        return True
