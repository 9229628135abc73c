# SPDX-License-Identifier: MIT
"""Twenty set-ups in which somebody leaks: do ``summary``, ``top`` and ``report`` name who it is, and by what path?

Each is recorded for some seconds, live, with what else the machine does; the three commands read the recording. Not a
cost but a share: the goal is all of them, and docs/leaks.md has the last result. Everything that grows meanwhile is in
the recording: on a machine that others use, more than half of the growth may be theirs, and there is no culprit then.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness import LAZYOBS, ROOT, cgroup_root

LEAKING = ROOT / "tests/workloads/leaking.py"
SECONDS = 4  # of the recording before the leak, and again behind it
PROCESS, FAMILY, GROUP = ("process",), ("family",), ("cgroup", "name")


@dataclass(frozen=True)
class SetUp:
    """``kind`` and ``count`` of tests/workloads/leaking.py, and ``beside`` it one of BESIDE. Right is a culprit of one of
    the ``kinds`` by one of the ``paths``. ``mine``: it is the started process itself."""

    kind: str
    count: int
    beside: str
    kinds: tuple[str, ...]
    paths: tuple[str, ...]
    mine: bool = True


SET_UPS = (
    SetUp("mappings", 6007, "nothing", PROCESS, ("prepare",)),
    SetUp("mappings", 6007, "processes that come and go", PROCESS, ("prepare",)),
    SetUp("mappings", 6007, "another that ends", PROCESS, ("prepare",)),
    SetUp("mappings", 6007, "another leak, a fifth as large", PROCESS, ("prepare",)),
    SetUp("splits", 12007, "nothing", PROCESS, ("split",)),
    SetUp("splits", 12007, "processes that come and go", PROCESS, ("split",)),
    SetUp("splits", 12007, "another leak, a fifth as large", PROCESS, ("split",)),
    SetUp("moves", 5003, "nothing", PROCESS, ("split",)),
    SetUp("files", 5003, "nothing", PROCESS, ("prepare",)),
    SetUp("threads", 997, "nothing", PROCESS, ("prepare",)),
    SetUp("server", 97, "nothing", FAMILY, ("fork",)),
    SetUp("server", 97, "processes that come and go", FAMILY, ("fork",)),
    SetUp("server", 97, "another that ends", FAMILY, ("fork",)),
    SetUp("helper", 97, "nothing", FAMILY, ("fork",), mine=False),
    SetUp("pedigree", 23, "nothing", FAMILY, ("fork",)),
    SetUp("pedigree", 23, "processes that come and go", FAMILY, ("fork",)),
    SetUp("execs", 151, "nothing", FAMILY, ("prepare",)),
    SetUp("worker", 5003, "nothing", PROCESS, ("prepare",), mine=False),
    SetUp("daemon", 5003, "nothing", PROCESS, ("prepare",), mine=False),
    SetUp("crowd", 151, "nothing", GROUP, ("prepare", "fork"), mine=False),
)


def run() -> dict[str, Any]:
    """{"right": set-ups of which all three say who and by what path, "of": how many, "set_ups": [of each]}."""
    found = [_tried(one) for one in SET_UPS]
    return {"right": sum(all(one["right"].values()) for one in found), "of": len(found), "set_ups": found}


def _tried(one: SetUp) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="lazyobs-leaks-") as folder, _cgroup(one) as cgroup:
        recording = Path(folder) / "r"
        pid = _recorded(one, recording, cgroup)
        return {
            "kind": one.kind,
            "count": one.count,
            "beside": one.beside,
            "right": {
                "summary": _by_summary(one, recording, pid, cgroup),
                "top": _by_top(one, recording, pid, cgroup),
                "report": _by_report(one, recording, pid, cgroup),
            },
        }


@contextlib.contextmanager
def _cgroup(one: SetUp) -> Iterator[Path | None]:
    """A cgroup for the crowd."""
    if one.kind != "crowd":
        yield None
        return
    folder = cgroup_root() / f"lazyobs-leaks-{os.getpid()}"
    folder.mkdir()
    try:
        yield folder
    finally:
        for _ in range(100):
            with contextlib.suppress(OSError):
                folder.rmdir()
                break
            time.sleep(0.1)


class Leaking:
    """A program of leaking.py, ready."""

    def __init__(self, kind: str, count: int, *more: str, name: str = "leaking") -> None:
        """``name``: siblings of one name are set off against each other."""
        command = [sys.executable, str(LEAKING), kind, str(count), *more]
        self._program = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "LEAKING_NAME": name},
        )
        self._answer()

    def leak(self) -> int:
        """The pid of the process that it was."""
        assert self._program.stdin is not None
        self._program.stdin.write("leak\n")
        self._program.stdin.flush()
        told = self._answer().split()
        return int(told[1]) if len(told) > 1 else self._program.pid

    def _answer(self) -> str:
        assert self._program.stdout is not None
        line = self._program.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._program.args!r} has ended")
        return line

    def end(self) -> None:
        self._program.communicate()


def _recorded(one: SetUp, recording: Path, cgroup: Path | None) -> int:
    """Records while it leaks; the pid of the process that leaked."""
    leaking = Leaking(one.kind, one.count, *([str(cgroup)] if cgroup else ()))
    fifth = one.count // (10 if one.kind == "splits" else 5)  # a part of a split VMA has a chain, and no anon_vma
    other = Leaking("mappings", 9001 if "ends" in one.beside else fifth + 1, name="other")
    if one.beside == "another that ends":
        other.leak()
    duration = 2 * SECONDS + 1
    options = ["--interval", "0.5", "--duration", str(duration), "--progress", "json"]
    command = [*LAZYOBS, "record", "-o", str(recording), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT) as recorder:
        assert recorder.stdout is not None
        recorder.stdout.readline()
        churn = subprocess.Popen(["sh", "-c", "while :; do /bin/true; done"]) if "come" in one.beside else None
        time.sleep(SECONDS)
        pid = leaking.leak()
        if "fifth" in one.beside:
            other.leak()
        if "ends" in one.beside:
            other.end()
        recorder.stdout.read()
        if churn is not None:
            churn.kill()
            churn.wait()
    leaking.end()
    if "ends" not in one.beside:
        other.end()
    return pid


def _answer(*arguments: str) -> str:
    done = subprocess.run([*LAZYOBS, *arguments], capture_output=True, text=True, cwd=ROOT, check=False)
    return done.stdout


def _by_summary(one: SetUp, recording: Path, pid: int, cgroup: Path | None) -> bool:
    found = json.loads(_answer("summary", "--replay", str(recording), "-o", "json"))["culprit"]
    if found is None or found["kind"] not in one.kinds or found["path"] not in one.paths:
        return False
    return bool(found["name"] == f"/{cgroup.name}" if cgroup else found["pid"] == pid)


def _by_top(one: SetUp, recording: Path, pid: int, cgroup: Path | None) -> bool:
    """In the lines above the table of the last screen."""
    screens = _answer("top", "-b", "-s", "chains_held_growth", "--replay", str(recording)).split("\n\n")
    return _named(one, next((part for part in reversed(screens) if part.startswith("lazyobs")), ""), pid, cgroup)


_PATHS = {"prepare": "by new anonymous VMAs", "fork": "by forks", "split": "by splits, merges or moves"}


def _by_report(one: SetUp, recording: Path, pid: int, cgroup: Path | None) -> bool:
    return _named(one, _answer("report", str(recording)), pid, cgroup)


def _named(one: SetUp, said: str, pid: int, cgroup: Path | None) -> bool:
    """Whether the sentence on the culprit is right, wherever its lines end."""
    words = " ".join(said.split())
    who = f"cgroup /{cgroup.name} " if cgroup else f"(pid {pid}" + ("" if one.kinds == PROCESS else ") and its desc")
    return who in words and any(_PATHS[path] in words for path in one.paths)
