# SPDX-License-Identifier: MIT
"""The process that runs a scenario. It waits between steps while its parent reads the probes.

The interpreter itself must not cause any counted event. Its allocator therefore uses a single heap (see
ENVIRONMENT in workers.py), and before the first step every writable private VMA has been written to and
forked once.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any

from lazyobs.selftest import family, scenario, syscalls, wiped
from lazyobs.selftest.scenario import Scenario
from lazyobs.selftest.stage import Skip, Stage
from lazyobs.unix.fork import die_with_parent

_HEAP = 24 << 20


def main(task: dict[str, Any]) -> None:
    """Runs one scenario; ``task`` holds name, module, seed, spoil (a step's number or null) and settings."""
    die_with_parent(parent=task["parent"])
    chosen = scenario.load((task["module"],))[task["name"]]
    stage = Stage(task["seed"], task["settings"])
    try:
        _pin_to_one_cpu()
        _quieten()
        _ask({"ready": os.getpid()})
        _warm_up(stage)
        _ask({"warm": os.getpid()})
        _ask({"wiped": _calibrate(), "calibrated": os.getpid()})
        _take_steps(stage, chosen, task["spoil"])
        _tell({"done": True})
    except Skip as skip:
        _tell({"skip": str(skip)})
    except Exception:
        _tell({"error": traceback.format_exc().strip().splitlines()})


def _take_steps(stage: Stage, chosen: Scenario, spoil: int | None) -> None:
    parts = chosen.run(stage)
    for number, step in enumerate(chosen.steps):
        stage.facts = {}
        if next(parts, "ended") == "ended":
            raise ValueError(f"{chosen.name} ended in step {step.name!r}: each step ends with a yield")
        if step.content:
            if spoil == number and stage.memory.pages:
                stage.memory.spoil()
            stage.memory.check(step.name)
        answer = {
            "step": step.name,
            "facts": stage.facts,
            "pids": stage.pids(),
            "checked": stage.memory.checked,
            "wrong": [page.as_json() for page in stage.memory.wrong],
            "notes": stage.notes,
        }
        stage.memory.checked, stage.memory.wrong, stage.notes = 0, [], []
        _ask(answer)
    if next(parts, "ended") != "ended":
        raise ValueError(f"{chosen.name} yields again after its last step, {chosen.steps[-1].name!r}")
    for child in list(stage.children):
        child.end()


def _pin_to_one_cpu() -> None:
    # Faulted pages wait in per-CPU lists; madvise and move_pages drain only the list of the CPU they run on.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _quieten() -> None:
    """Ensures that the interpreter creates no VMA, and writes to none for the first time, from here on."""
    gc.disable()
    spare = ctypes.create_string_buffer(_HEAP)
    del spare
    for address in _writable_private():
        syscalls.libc.memcpy(address, address, 1)


def _writable_private() -> list[int]:
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        lines = [line.split() for line in file]
    return [int(line[0].split("-")[0], 16) for line in lines if line[1].startswith("rw") and line[1][3] == "p"]


def _warm_up(stage: Stage) -> None:
    """Does once what every step does, including a fork, which makes the interpreter's lazy VMAs regular."""
    _calibrate()
    page = stage.memory.islands(1)
    stage.memory.fill(page)
    stage.memory.check("warm-up")
    stage.memory.forget(page)
    stage.memory.checked = 0
    syscalls.munmap(page[0], syscalls.PAGE)
    for address in _writable_private():
        syscalls.libc.memcpy(address, address, 1)


def _calibrate() -> int:
    """Forks one child as scenarios do. Returns the first faults that it has by itself: see wiped.py."""
    stage = Stage(0, {})

    def body(inside: Stage) -> Iterator[None]:
        inside.fact(wiped=wiped.written_to())
        yield

    facts = family.Child(stage, body, "calibration").advance()
    stage.children[0].end()
    return int(facts["wiped"])


def _tell(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _ask(message: dict[str, Any]) -> None:
    """Sends a message, then waits until the parent has read the probes."""
    _tell(message)
    if not sys.stdin.readline():
        os._exit(1)
