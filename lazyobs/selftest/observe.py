# SPDX-License-Identifier: MIT
"""``lazyobs selftest --observe``: runs a command and reports which kernel paths ran in the meantime."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import textwrap
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lazyobs.bpf.points import POINTS
from lazyobs.errors import BpfRefused, NotPermitted, UsageError
from lazyobs.model import COUNTERS, Sample
from lazyobs.recorder.workload import Workload
from lazyobs.selftest.probes import Observer
from lazyobs.text import NULL, printable, seconds
from lazyobs.unix import interrupt
from lazyobs.unix.capabilities import why_not_bpf
from lazyobs.views.lines import json_line

WIDTH = 72  # fits in mail


@dataclass(frozen=True)
class KernelPath:
    """A counter, or one value of a split counter: of the whole system, and of the command and all that it started.
    ``events`` None: unknown, for the reason in ``why``."""

    name: str
    events: int | None
    why: str = ""
    command_events: int | None = None


@dataclass(frozen=True)
class Coverage:
    """What happened while ``command`` ran: on the whole system, and in the processes that it started."""

    command: tuple[str, ...]
    status: int
    seconds: float
    before: Sample
    after: Sample
    own_before: dict[str, Any] = field(default_factory=dict)  # of commands that were followed before this one

    def since(self, own: dict[str, Any]) -> Coverage:
        """The same, without what commands before this one have caused."""
        return replace(self, own_before=own)

    def paths(self) -> list[KernelPath]:
        found = []
        for counter in COUNTERS:
            if not counter.split:
                found.append(self._path(counter.name, counter.name, None))
                continue
            found += [self._path(counter.name, counter.split_key, value) for value in counter.values]
        return found

    def _path(self, counter: str, key: str, value: str | None) -> KernelPath:
        name = counter if value is None else f"{counter} {value}"
        now, old = self.after.totals.get(key), self.before.totals.get(key)
        if value is not None:
            now, old = (now or {}).get(value), (old or {}).get(value)
        if now is None or old is None:
            reasons = self.after.null_reasons
            why = reasons.get(f"totals.{key}.{value}") or reasons.get(f"totals.{counter}", "not known at this tier")
            return KernelPath(name, None, why)
        return KernelPath(name, now - old, command_events=self._of_command(key, value))

    def _of_command(self, key: str, value: str | None) -> int | None:
        found, old = (self.after.command or {}).get(key), self.own_before.get(key)
        if value is not None:
            found, old = (found or {}).get(value), (old or {}).get(value)
        return found if found is None else found - (old or 0)

    @property
    def not_apart(self) -> str:
        """Why the command is not counted apart, "" if it is."""
        return "" if self.after.command is not None else self.after.null_reasons.get("command", "reading failed")

    def reached(self, point: str) -> bool | None:
        """Whether a probe point counted any event; None if it feeds no known counter or is not attached."""
        feeds = next((row.feeds for row in POINTS if row.name == point), ())
        events = [path.events for path in self.paths() if path.name.partition(" ")[0] in feeds]
        known = [count for count in events if count is not None]
        return any(known) if known and self.after.tiers[point] else None

    def _word(self, point: str) -> str:
        return {True: "reached", False: "not reached", None: ""}[self.reached(point)]

    def as_json(self) -> dict[str, Any]:
        return {
            "command": list(self.command),
            "exit_status": self.status,
            "seconds": round(self.seconds, 3),
            "kernel": vars(self.after.kernel),
            "points": {
                point: {"tier": tier, "reached": self.reached(point)} for point, tier in self.after.tiers.items()
            },
            "paths": [vars(path) for path in self.paths()],
            "command_reason": self.not_apart or None,
        }

    def as_text(self) -> str:
        """At most WIDTH columns."""
        kernel = self.after.kernel
        switch = {True: "on", False: "off", None: "not in this kernel"}[kernel.lazy_enabled]
        tiers, paths = self.after.tiers, self.paths()
        known = [path for path in paths if path.events is not None]
        taken = [path for path in known if path.events]
        lines = [
            *_wrapped("Command: ", " ".join(self.command)),
            f"Ended:   exit status {self.status} after {seconds(self.seconds)}",
            *_wrapped("Kernel:  ", f"{kernel.release}, profile {kernel.profile}, lazy anon_vmas {switch}"),
            "",
            "Probe points",
            *(f"  {point:<24} {tier or 'not attached':<16} {self._word(point)}" for point, tier in tiers.items()),
            "",
            f"{f'Paths taken, {len(taken)} of {len(known)}':<34} {'command':>12} {'whole system':>14}",
            *(f"  {path.name:<32} {_number(path.command_events)} {path.events:>14}" for path in taken),
        ]
        if self.not_apart:
            lines += ["", *_wrapped("The command is not counted apart: ", self.not_apart)]
        if len(taken) < len(known):
            lines += ["", "Paths not taken", *_wrapped("  ", ", ".join(p.name for p in known if not p.events))]
        if len(known) < len(paths):
            lines += ["", "Paths that could not be seen"]
            for why in dict.fromkeys(path.why for path in paths if path.events is None):
                names = ", ".join(path.name for path in paths if path.events is None and path.why == why)
                lines += [*_wrapped("  ", names), *_wrapped("    ", why)]
        return "".join(line.rstrip() + "\n" for line in lines)


def _number(events: int | None) -> str:
    return f"{NULL if events is None else events:>12}"


def _wrapped(head: str, text: str) -> list[str]:
    wrapped = textwrap.wrap(printable(text), WIDTH - len(head), break_long_words=True) or [""]
    return [head + wrapped[0], *(" " * len(head) + line for line in wrapped[1:])]


def run(command: tuple[str, ...], profile: Path | None, tier: str | None, output: str) -> int:
    """Runs the command with our standard streams, prints the report, and returns the command's exit status."""
    if tier == "procfs":
        raise UsageError("--observe", "counts events, which the procfs tier cannot do", "omit --tier procfs")
    if why := why_not_bpf():
        raise NotPermitted("loading the probes", why, "run it with sudo")
    if shutil.which(command[0]) is None:
        raise UsageError(command[0], "no such program, or none that can be run", "name a program that can be run")
    observer = Observer(profile, tier, follows=True)
    if observer.source is None:
        raise BpfRefused("--observe", observer.why_not, "run lazyobs doctor to see what this kernel allows")
    try:
        coverage = _observe(command, observer)
    finally:
        observer.close()
    if output == "json":
        print(json_line(coverage.as_json()))
    else:
        print("\n" + coverage.as_text(), end="")
    return coverage.status


def _observe(command: tuple[str, ...], observer: Observer) -> Coverage:
    assert observer.source is not None
    workload = Workload(command)
    try:
        before = observer.source.read()
        began = time.monotonic()
        observer.source.begin_command(workload.pid)
        workload.begin()
        status = _wait(workload)
        took = time.monotonic() - began
        sys.stdout.flush()
        return Coverage(command, status, took, before, observer.source.read())
    finally:
        workload.close()


def _wait(workload: Workload) -> int:
    """The exit status."""
    try:
        return workload.wait()
    except KeyboardInterrupt:
        # Ctrl-C in a terminal also reaches the command; a signal sent to us alone does not.
        with contextlib.suppress(ProcessLookupError):
            os.kill(workload.pid, signal.SIGTERM)
        status = workload.wait()
        interrupt.taken()
        return status
