# SPDX-License-Identifier: MIT
"""``lazyobs selftest --kernel``: a selftest program of the kernel, and which paths each of its tests takes."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lazyobs.model import Sample
from lazyobs.recorder.workload import Workload
from lazyobs.selftest.kernel_program import Outcome, find, own_tests, read_ktap
from lazyobs.selftest.observe import Coverage, KernelPath
from lazyobs.selftest.probes import Observer
from lazyobs.selftest.results import EXIT_SKIPPED
from lazyobs.text import printable, say, seconds
from lazyobs.unix.capabilities import why_not_bpf
from lazyobs.views.lines import json_line

_KEPT_LINES = 40  # of what a failed test has printed


@dataclass(frozen=True)
class OneRun:
    """One test, or a whole program whose tests cannot be run one by one. ``paths``: what was counted meanwhile, []
    where nothing could be."""

    name: str
    status: int
    seconds: float
    output: str
    outcomes: list[Outcome]
    paths: list[KernelPath] = field(default_factory=list)

    def results(self) -> list[Outcome]:
        """At least one: a program that ends without a result has failed."""
        return self.outcomes or [Outcome(self.name, "fail", f"it ended with status {self.status} and without a result")]

    def taken(self) -> dict[str, int]:
        """{path: events} of the test and all that it started, without those that it did not take."""
        return {path.name: path.command_events for path in self.paths if path.command_events}

    def beside(self) -> dict[str, int]:
        """The same of the whole system, where the test itself has none: what kernel threads did for it, perhaps."""
        return {path.name: path.events for path in self.paths if path.events and not path.command_events}


def run_one(program: Path, name: str | None, observer: Observer) -> OneRun:
    """Runs one test of the program, or without a name the program."""
    command = (str(program),) if name is None else (str(program), "-r", name)
    with tempfile.TemporaryFile() as output:
        workload = Workload(command, output.fileno())
        try:
            before = observer.read()
            if observer.source is not None:
                observer.source.begin_command(workload.pid)
            began = time.monotonic()
            workload.begin()
            status = workload.wait()
            took = time.monotonic() - began
        finally:
            workload.close()
        output.seek(0)
        text = output.read().decode(errors="replace")
    paths = _paths(command, status, took, before, observer.read())
    return OneRun(name or program.name, status, took, text, read_ktap(text), paths)


def _paths(
    command: tuple[str, ...], status: int, took: float, before: Sample | None, after: Sample | None
) -> list[KernelPath]:
    if before is None or after is None:
        return []
    own = before.command
    found = Coverage(command, status, took, before, after)
    return found.paths() if own is None else found.since(own).paths()


class Report(Protocol):
    def begin(self, tests: int, heading: list[str]) -> None: ...

    def run(self, done: OneRun) -> None: ...

    def end(self, runs: list[OneRun], points: dict[str, str | None]) -> None: ...


class AsKtap:
    """The program's results, renumbered, each after the paths that its test took."""

    def __init__(self) -> None:
        self._number = 0

    def begin(self, tests: int, heading: list[str]) -> None:
        _put("KTAP version 1")
        _put(f"1..{tests}")
        for line in heading:
            _say(line)

    def run(self, done: OneRun) -> None:
        if any(one.outcome == "fail" for one in done.results()):
            for line in done.output.splitlines()[-_KEPT_LINES:]:
                _say(line.lstrip("# "))
        for title, counts in (("took", done.taken()), ("beside it", done.beside())):
            if counts:
                _say(f"{done.name} {title}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
        for one in done.results():
            self._number += 1
            end = f" # SKIP {_clean(one.reason)}".rstrip() if one.outcome == "skip" else ""
            _put(f"{'not ok' if one.outcome == 'fail' else 'ok'} {self._number} {_clean(one.name)}{end}")

    def end(self, runs: list[OneRun], points: dict[str, str | None]) -> None:
        for line in coverage_lines(runs, points):
            _say(line)
        counts = totals(runs)
        _say(f"Totals: pass:{counts['pass']} fail:{counts['fail']} xfail:0 xpass:0 skip:{counts['skip']} error:0")


class AsJson:
    """A line for each test, then a summary."""

    def begin(self, tests: int, heading: list[str]) -> None:
        """JSON lines have no heading."""

    def run(self, done: OneRun) -> None:
        for one in done.results():
            document = {"test": one.name, "outcome": one.outcome, "reason": one.reason or None}
            counted = bool(done.paths)
            print(
                json_line(
                    {
                        **document,
                        "seconds": round(done.seconds, 3),
                        "exit_status": done.status,
                        "paths": done.taken() if counted else None,
                        "paths_beside": done.beside() if counted else None,
                    }
                ),
                flush=True,
            )

    def end(self, runs: list[OneRun], points: dict[str, str | None]) -> None:
        reached = {name: runs_that_took(runs, name) for name in path_names(runs)}
        print(json_line({"summary": totals(runs), "points": points, "tests_by_path": reached}))


def path_names(runs: list[OneRun]) -> list[str]:
    """The paths that can be seen here, in the order of the counters."""
    return list(dict.fromkeys(path.name for run in runs for path in run.paths if path.events is not None))


def runs_that_took(runs: list[OneRun], name: str) -> int:
    """In how many tests the path was taken: by the test itself, or by anything meanwhile."""
    return sum(name in run.taken() or name in run.beside() for run in runs)


def totals(runs: list[OneRun]) -> dict[str, int]:
    counts = {"pass": 0, "fail": 0, "skip": 0}
    for run in runs:
        for one in run.results():
            counts[one.outcome] += 1
    return counts


def coverage_lines(runs: list[OneRun], points: dict[str, str | None]) -> list[str]:
    """Probe points and their tiers, and in how many of the tests each path was taken."""
    names = path_names(runs)
    if not names:
        return []
    taken = {name: runs_that_took(runs, name) for name in names}
    lines = [f"probe point {point}: {tier or 'not attached'}" for point, tier in points.items()]
    lines += [f"path {name}: in {count} of {len(runs)} tests" for name, count in taken.items() if count]
    missed = [name for name, count in taken.items() if not count]
    return [*lines, f"paths that no test took: {', '.join(missed) or 'none'}"]


def _clean(text: str) -> str:
    return " ".join(printable(text).replace("#", "no.").split())


def _put(line: str) -> None:
    print(line, flush=True)


def _say(line: str) -> None:
    _put(f"# {_clean(line)}")


def _observer(profile: Path | None, tier: str | None) -> Observer:
    """Counts where that is allowed; the tests run all the same where it is not."""
    observer = Observer(profile, "procfs" if why_not_bpf() else tier, follows=True)
    if why := why_not_bpf():
        observer.why_not = why
    return observer


def run(given: str | None, profile: Path | None, tier: str | None, output: str) -> int:
    """Runs every test of the program; the exit code as kselftest has it."""
    program = find(given)
    names = own_tests(program)
    observer = _observer(profile, tier)
    report: Report = AsJson() if output == "json" else AsKtap()
    runs: list[OneRun] = []
    try:
        heading = [str(program)]
        heading += [f"which paths are taken is not counted: {observer.why_not}"] if observer.source is None else []
        began = time.monotonic()
        for name in [*names] if names else [None]:
            done = run_one(program, name, observer)
            if not runs:  # how many tests a program has that runs as a whole is known by now
                report.begin(len(names) or len(done.results()), heading)
            runs.append(done)
            report.run(done)
        sample = observer.read()
        report.end(runs, dict(sample.tiers) if sample else {})
        say(f"lazyobs: {len(runs)} runs in {seconds(time.monotonic() - began)}")
    finally:
        observer.close()
    counts = totals(runs)
    if counts["fail"]:
        return 1
    return 0 if counts["pass"] else EXIT_SKIPPED
