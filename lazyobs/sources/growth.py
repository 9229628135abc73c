# SPDX-License-Identifier: MIT
"""What processes and cgroups hold more than at the first sample: anon_vmas and chains on the lists of their VMAs.

A process that began later has grown by all that it holds. A minute is one of watching, so that rates can be compared
and added up. What one held that has ended since is taken off its cgroup, so that workers which are replaced add up to
nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from lazyobs.model import GROWING, GROWTH_NAMES, Process, Sample

Identity = tuple[int, float]
_NOT_GROWN: dict[str, float | None] = dict.fromkeys(GROWTH_NAMES, 0)
_LEAST_MINUTES = 1 / 60  # a second: a shorter time gives no rate


class Growth:
    """Feed it samples in their order: ``note`` fills in Process.growth and Sample.ended_growth."""

    def __init__(self) -> None:
        self._begun: float | None = None
        self._first: dict[Identity, tuple[str | None, Mapping[str, int | None]]] = {}
        self._idle: dict[Identity, tuple[Process, Process]] = {}  # as given and with growth: what has not grown

    def note(self, sample: Sample) -> None:
        """The first sample is what growth is measured from. Idle processes are one object in many samples, so those
        that grew are replaced, not changed."""
        if self._begun is None:
            self._begun = sample.time
            for process in sample.processes:
                held = {name: process.census.get(name) for name in GROWING}
                self._first[process.pid, process.start_time] = process.cgroup, held
        idle, self._idle = self._idle, {}
        sample.processes = [self._noted(process, sample.time, idle) for process in sample.processes]
        sample.ended_growth = self._of_ended(sample)

    def _noted(self, process: Process, now: float, idle: Mapping[Identity, tuple[Process, Process]]) -> Process:
        """The object of the sample before, where the process is the same that has not grown."""
        identity = process.pid, process.start_time
        given, noted = idle.get(identity, (None, process))
        if given is not process:
            noted = self._grown(process, now)
        if noted.growth is _NOT_GROWN:
            self._idle[identity] = process, noted
        return noted

    def _grown(self, process: Process, now: float) -> Process:
        assert self._begun is not None
        _, before = self._first.get((process.pid, process.start_time), (None, None))
        minutes = (now - self._begun) / 60  # the same for all: a child of a second is no culprit
        found: dict[str, float | None] = {}
        for name in GROWING:
            held = process.census.get(name)
            then = 0 if before is None else before[name]
            grown = None if held is None or then is None else held - then
            found[f"{name}_growth"] = grown
            if grown is None or (minutes < _LEAST_MINUTES and grown):
                found[f"{name}_per_minute"] = None
            else:
                found[f"{name}_per_minute"] = round(grown / minutes, 1) if grown else 0
        if found == _NOT_GROWN:
            found = _NOT_GROWN  # most processes, most of the time
        return process if process.growth == found else replace(process, growth=found)

    def _of_ended(self, sample: Sample) -> dict[str, dict[str, int]]:
        """{cgroup: {column: what its processes held that have ended, negative}}."""
        there = {(process.pid, process.start_time) for process in sample.processes}
        lost: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(GROWING, 0))
        for identity, (cgroup, held) in self._first.items():
            if identity not in there:
                for name in GROWING:
                    lost[cgroup or ""][name] -= held[name] or 0
        return dict(lost)
