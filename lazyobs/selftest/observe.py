# SPDX-License-Identifier: MIT
"""``lazyobs selftest --observe``: runs a command and reports which kernel paths ran in the meantime."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lazyobs.bpf.points import POINTS
from lazyobs.errors import BpfRefused, NotPermitted, UsageError
from lazyobs.model import COUNTERS, Sample
from lazyobs.selftest.probes import Observer
from lazyobs.text import printable, seconds
from lazyobs.unix.capabilities import why_not_bpf
from lazyobs.views.lines import json_line

WIDTH = 72  # fits in mail


@dataclass(frozen=True)
class KernelPath:
    """A counter, or one value of a split counter. ``events`` None: unknown, for the reason in ``why``."""

    name: str
    events: int | None
    why: str = ""


@dataclass(frozen=True)
class Coverage:
    """What happened on the whole system while ``command`` ran."""

    command: tuple[str, ...]
    status: int
    seconds: float
    before: Sample
    after: Sample

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
        return KernelPath(name, now - old)

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
            f"Paths taken, {len(taken)} of {len(known)} (events of the whole system)",
            *(f"  {path.name:<32} {path.events:>12}" for path in taken),
        ]
        if len(taken) < len(known):
            lines += ["", "Paths not taken", *_wrapped("  ", ", ".join(p.name for p in known if not p.events))]
        if len(known) < len(paths):
            lines += ["", "Paths that could not be seen"]
            for why in dict.fromkeys(path.why for path in paths if path.events is None):
                names = ", ".join(path.name for path in paths if path.events is None and path.why == why)
                lines += [*_wrapped("  ", names), *_wrapped("    ", why)]
        return "".join(line.rstrip() + "\n" for line in lines)


def _wrapped(head: str, text: str) -> list[str]:
    wrapped = textwrap.wrap(printable(text), WIDTH - len(head), break_long_words=True) or [""]
    return [head + wrapped[0], *(" " * len(head) + line for line in wrapped[1:])]


def run(command: tuple[str, ...], profile: Path | None, tier: str | None, output: str) -> int:
    """Runs the command with our standard streams, prints the report, and returns the command's exit status."""
    if tier == "procfs":
        raise UsageError("--observe", "counts events, which the procfs tier cannot do", "omit --tier procfs")
    if why := why_not_bpf():
        raise NotPermitted("loading the probes", why, "run it with sudo")
    observer = Observer(profile, tier)
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
    before = observer.source.read()
    began = time.monotonic()
    try:
        process = subprocess.Popen(command, env=os.environ)
    except OSError as error:
        raise UsageError(command[0], str(error.strerror), "name a program that can be run") from None
    try:
        status = process.wait()
    except KeyboardInterrupt:
        # Ctrl-C in a terminal also reaches the command; a signal sent to us alone does not.
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        status = process.wait()
    took = time.monotonic() - began
    sys.stdout.flush()
    after = observer.source.read()
    return Coverage(command, status if status >= 0 else 128 - status, took, before, after)
