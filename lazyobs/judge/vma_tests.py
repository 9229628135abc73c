# SPDX-License-Identifier: MIT
"""tools/testing/vma: mm/vma.c of each arm, compiled into a program that needs no kernel, built and run by the user that
builds.

A tree that has it and in which it does not build is said, and is no failure: its stubs often follow a series later.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lazyobs.judge import build, lab, programs
from lazyobs.judge.apply import Applied
from lazyobs.judge.asked import PLAIN
from lazyobs.judge.libraries import Library
from lazyobs.judge.tree import Tree
from lazyobs.text import printable

STEP = "vma"
RESULTS = "vma.json"  # {arm: what run() gives}
PLACE = "tools/testing/vma"
PROGRAM = "vma"
URCU = "liburcu-dev"
_RECIPE = "1"
_BUILD_SECONDS, _RUN_SECONDS = 900.0, 300.0
_COUNTS = re.compile(r"^(\d{1,9}) tests run, (\d{1,9}) passed, (\d{1,9}) failed\.$", re.M)
_FAILED = re.compile(r"^.*(?:Assert FAILED|ERROR: AddressSanitizer|runtime error:|FAILED|failed).*$", re.M)
_MOST_LETTERS = 300


@dataclass(frozen=True)
class Place:
    """Where an arm's source is, and what it becomes."""

    tree: Tree
    base_key: str
    applied: Applied
    options: Sequence[str]


class VmaTests:
    def __init__(self, cache: Path, logs: Path, urcu: Library, tell: Callable[[str, float], None]) -> None:
        self._cache, self._logs, self._urcu, self._tell = cache, logs, urcu, tell

    def run(self, arm: str, place: Place) -> dict[str, Any]:
        """{outcome, why, tests, passed, program}: outcome is pass, fail, or none where they do not build or are not
        there, for the reason in ``why``."""
        if not (place.tree.source / PLACE / "Makefile").is_file() and f"{PLACE}/Makefile" not in place.applied.files:
            return _none(f"the tree has no {PLACE}")
        if self._urcu.why_not:
            return _none(f"does not build: {self._urcu.why_not}")
        key = build.key(place.tree, place.base_key, place.applied, PLAIN, place.options)
        program = self._cache / "vma" / lab.cache.content_hash([_RECIPE, key]) / PROGRAM
        log = self._logs / f"build-{arm}-{STEP}.log"
        if not program.is_file() and (why := self._build(arm, place, program, log)):
            return _none(f"does not build: {why}")
        return run(program, log)

    def _build(self, arm: str, place: Place, program: Path, log: Path) -> str:
        """Why it does not build, or ""."""
        folder = place.tree.source / PLACE
        words = ["make", "-C", str(folder), "CC=ccache gcc" if shutil.which("ccache") else "CC=gcc"]
        words += [f"EXTRA_CFLAGS={' '.join(self._urcu.flags())}"]
        words += [f"LDLIBS=-lpthread {' '.join([*self._urcu.link(), '-l:liburcu.a', '-l:liburcu-common.a'])}"]
        log.write_bytes(b"")
        with place.tree.locked():
            place.tree.put(place.applied)
            try:
                self._make([*words, "clean"], log, arm)
                done = self._make([*words, PROGRAM], log, arm)
                if done.status != 0 or not (folder / PROGRAM).is_file():
                    return "the build does not come to an end" if done.status is None else build.complaint(log.read_text(errors="replace"))  # fmt: skip
                program.parent.mkdir(parents=True, exist_ok=True)
                own = program.with_suffix(".new")
                shutil.copy(folder / PROGRAM, own)
                own.replace(program)
            finally:
                self._make([*words, "clean"], log, arm)
        return ""

    def _make(self, words: Sequence[str], log: Path, arm: str) -> programs.Done:
        environment = build.environment(self._cache)
        return programs.run(words, log, _BUILD_SECONDS, environment, lambda seconds: self._tell(f"{arm}, {PLACE}", seconds))  # fmt: skip


def run(program: Path, log: Path) -> dict[str, Any]:
    """What the built tests say. Their output goes to the end of ``log``."""
    begin = log.stat().st_size if log.exists() else 0
    done = programs.run([str(program)], log, _RUN_SECONDS, {"PATH": "/usr/bin:/bin", "LC_ALL": "C"})
    with open(log, "rb") as file:
        file.seek(begin)
        said = file.read(1 << 20).decode("utf-8", "replace")
    found: dict[str, Any] = {"outcome": "pass", "why": "", "tests": 0, "passed": 0, "program": program.parent.name}
    counts = _COUNTS.search(said)
    if counts:
        found.update(tests=int(counts[1]), passed=int(counts[2]))
    if done.status == 0 and counts and int(counts[1]) and counts[1] == counts[2]:
        return found
    first = _FAILED.search(said)
    what = (
        "no end of its output"
        if done.flooded
        else "no end within the time"
        if done.status is None
        else f"status {done.status}"
    )
    where = f"; first: {printable(' '.join(first[0].split()))[:_MOST_LETTERS]}" if first else ""
    failed = f"{found['tests'] - found['passed']} of {found['tests']} tests failed" if counts else f"ended with {what}"
    return {**found, "outcome": "fail", "why": failed + where}


def _none(why: str) -> dict[str, Any]:
    return {"outcome": "none", "why": why, "tests": 0, "passed": 0, "program": ""}
