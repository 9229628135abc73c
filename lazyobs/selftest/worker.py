# SPDX-License-Identifier: MIT
"""The process a scenario runs in. Its parent reads the probes while it waits between two steps.

The interpreter itself must not cause a single event of the kind that is counted. Its allocator
therefore takes everything from one heap (see ENVIRONMENT in workers.py), and before the first step every
writable private VMA has been written to and forked once.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import traceback
from typing import Any

from lazyobs.selftest import family, scenario, syscalls
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
        _calibrate()
        _ask({"calibrated": os.getpid()})
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
        next(parts)
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
        raise ValueError(f"{chosen.name} takes more steps than it declares")
    for child in list(stage.children):
        child.end()


def _pin_to_one_cpu() -> None:
    # Pages wait in lists of the CPU that faulted them; madvise and move_pages empty only their own CPU's.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _quieten() -> None:
    """Nothing that the interpreter does from here on makes a VMA, or writes to one for the first time."""
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
    """Walks once through what every step does, fork included: what was lazy before is regular now."""
    _calibrate()
    page = stage.memory.islands(1)
    stage.memory.fill(page)
    stage.memory.check("warm-up")
    stage.memory.forget(page)
    stage.memory.checked = 0
    syscalls.munmap(page[0], syscalls.PAGE)
    for address in _writable_private():
        syscalls.libc.memcpy(address, address, 1)


def _calibrate() -> None:
    """A child of the kind that scenarios have, which does nothing."""
    stage = Stage(0, {})
    family.Child(stage, lambda _stage: iter(()), "calibration").advance()
    stage.children[0].end()


def _tell(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _ask(message: dict[str, Any]) -> None:
    """Tells, then stands still until the parent has read the probes."""
    _tell(message)
    if not sys.stdin.readline():
        os._exit(1)
