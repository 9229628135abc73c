# SPDX-License-Identifier: MIT
"""A selftest program of the kernel: where it is, which tests it has, and what it prints (KTAP)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lazyobs.errors import UsageError

NAME = "anon_rmap"
BUILD = "make -C lab kselftest"
#: In a program built with kselftest_harness.h: the head of what it prints with -l.
_HEAD = "# FIXTURE"
_LIST_SECONDS = 60
#: Where its columns of variants and tests begin.
_COLUMNS = (21, 47)
_RESULT = re.compile(r"^(not ok|ok) \d+ (?:- )?(.*?)(?: # (SKIP|XFAIL)\b ?(.*))?$")


@dataclass(frozen=True)
class Outcome:
    """One result line. ``outcome``: pass, fail or skip; ``reason``: why it was skipped, "" where it does not say."""

    name: str
    outcome: str
    reason: str = ""


def places() -> Iterator[Path]:
    """Where the program is looked for, in order: installed, with the kernel's selftests, built by the lab."""
    yield Path(sys.prefix) / "libexec/lazyobs" / NAME
    yield Path("/usr/libexec/lazyobs") / NAME
    yield Path("/usr/libexec/kselftests/mm") / NAME
    cache = os.environ.get("LAZYOBS_LAB_CACHE")
    if not cache:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        cache = str(Path(home) / "lazyobs" / "lab")
    built = Path(cache, "kselftest").glob(f"*/{NAME}")
    yield from sorted(built, key=lambda path: path.stat().st_mtime, reverse=True)


def _can_run(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def find(given: str | None) -> Path:
    """The program that was named, else the first of ``places``. UsageError where there is none."""
    if given is not None:
        path = Path(given).absolute()
        if not _can_run(path):
            raise UsageError(given, "no such program, or none that can be run", "name a selftest program")
        return path
    for path in places():
        if _can_run(path):
            return path
    raise UsageError(
        "--kernel", f"the program {NAME} is not installed", f"build it in a checkout ({BUILD}), or name a program"
    )


def own_tests(program: Path) -> list[str]:
    """The names of its tests, each of which it can run alone (-r); [] if it was built without the kernel's harness."""
    if _HEAD.encode() not in program.read_bytes():
        return []
    answer = subprocess.run(
        [program, "-l"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_LIST_SECONDS, check=False
    )
    return list(_listed(answer.stderr))


def _listed(text: str) -> Iterator[str]:
    """The harness prints variants and tests of a fixture in two columns, side by side; a rule between fixtures."""
    lines = text.partition(_HEAD)[2].splitlines()[1:]
    fixture, variants, tests = "", list[str](), list[str]()
    for line in [*lines, "-"]:
        if line.startswith("-"):
            yield from (
                ".".join(filter(None, (fixture, variant, test))) for variant in variants or [""] for test in tests
            )
            fixture, variants, tests = "", [], []
        elif not fixture:
            fixture, *rest = line.split()
            # "global", for tests without a fixture, is there even if it has none.
            variants, tests = rest[:-1], rest[-1:]
        else:
            variants += line[_COLUMNS[0] : _COLUMNS[1]].split()
            tests += line[_COLUMNS[1] :].split()


def read_ktap(text: str) -> list[Outcome]:
    """The result lines of a KTAP output, in order."""
    found = []
    for line in text.splitlines():
        match = _RESULT.match(line)
        if match:
            skipped = match[3] is not None
            outcome = "skip" if skipped else "pass" if match[1] == "ok" else "fail"
            found.append(Outcome(match[2].strip(), outcome, match[4] or ""))
    return found
