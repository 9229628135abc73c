# SPDX-License-Identifier: MIT
"""Where the screen's samples come from: the running kernel, or a recording with all its moments at hand.

Feeds are read in a thread of their own, one call at a time.
"""

from __future__ import annotations

import bisect
import re
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from lazyobs.bpf import maps
from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.points import POINTS
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.model import Sample
from lazyobs.screen.state import TREND_VALUES, TRENDS, Extras, LiveUpdate, ProgramRuns, ScreenState, Wanted
from lazyobs.sources.live import LiveSource
from lazyobs.sources.live_trace import LiveTrace
from lazyobs.sources.source import Source

if TYPE_CHECKING:
    from lazyobs.recording.replay import ReplaySource

_BATCHES = 32  # of the ring in one turn: a storm of forks must not hold the screen up; what is left is told as lost
MOST_TRACE_EVENTS = 2000


class LiveFeed(Protocol):
    """Something that always has a new sample."""

    interval: float
    notice: str
    paces: bool  # a reading comes when it is time for it: nobody need wait between two

    def read(self, wanted: Wanted) -> LiveUpdate:
        """The state now."""

    def close(self) -> None:
        """Gives everything back."""


class RecordedFeed(Protocol):
    """Moments by their position, any of them at any time. ``times`` are unix seconds."""

    interval: float
    times: Sequence[float]

    def at(self, position: int, wanted: Wanted) -> ScreenState:
        """The moment at that position of ``times``."""

    def close(self) -> None:
        """Gives everything back."""


class KernelFeed:
    """The running kernel. Events are read where the session has them."""

    paces = False

    def __init__(self, source: Source, interval: float, notice: str = "") -> None:
        self.source, self.interval, self.notice = source, interval, notice
        self._session = source.session if isinstance(source, LiveSource) else None
        self._happenings: LiveTrace | None = None
        if self._session is not None and "events" in self._session.maps:
            self._happenings = LiveTrace(self._session, EventFilter(), None)

    def read(self, wanted: Wanted) -> LiveUpdate:
        sample = self.source.read()
        trace_events = self._read_happenings()
        return LiveUpdate(sample, trace_events, self.extras(sample, wanted))

    def _read_happenings(self) -> list[TraceEvent]:
        found: list[TraceEvent] = []
        if self._happenings is not None:
            for _ in range(_BATCHES):
                some = self._happenings.read(0)
                found += some
                if not some:
                    break
        return found

    def extras(self, sample: Sample, wanted: Wanted) -> Extras:
        """What is wanted beside the sample."""
        extras, why_not = Extras(vmas_of=wanted.vmas_of), {}
        if wanted.vmas_of is not None:
            if isinstance(self.source, LiveSource) and self._has_vmas():
                extras.vmas = self.source.vmas(wanted.vmas_of)
            else:
                why_not["vmas"] = "VMAs one by one need the BPF iterator"
        if wanted.programs:
            if self._session is not None:
                extras.programs = [
                    ProgramRuns(point_of(name), name, runs, nanoseconds, missed)
                    for name, fd in self._session.programs.items()
                    for nanoseconds, runs, missed in (maps.program_stats(fd),)
                ]
            else:
                why_not["programs"] = "no BPF programs at this tier"
        extras.why_not = why_not
        return extras

    def _has_vmas(self) -> bool:
        return self._session is not None and self._session.tiers.get("census_vmas") is not None

    def close(self) -> None:
        if self._happenings is not None:
            self._happenings.close()
        self.source.close()


_PROGRAMS = {fixed.program: point.name for point in POINTS for fixed in point.fixed}
_BODIES = [(re.compile(rf"(fentry|fexit|kprobe|kretprobe)_{call.body}(_|$)"), point.name) for point in POINTS for call in point.calls]  # fmt: skip


def point_of(program: str) -> str:
    """The probe point a program belongs to, by the name it was loaded under: program:target (bpf/wrappers.py)."""
    program = program.partition(":")[0]
    if program in _PROGRAMS:
        return _PROGRAMS[program]
    return next((point for pattern, point in _BODIES if pattern.match(program)), "")


class ReplayFeed:
    """A recording: each sample can be shown at any time."""

    def __init__(self, source: ReplaySource, interval: float) -> None:
        from lazyobs.recording.cursor import Cursor

        self.source, self.interval = source, interval
        self._cursor = Cursor(source.recording, TRENDS)
        self.times: Sequence[float] = self._cursor.times

    def at(self, position: int, wanted: Wanted) -> ScreenState:
        sample = self._cursor.sample(position)
        events, stamps = self._cursor.events(position)
        end = bisect.bisect_right(stamps, sample.time)
        extras = Extras(
            vmas_of=wanted.vmas_of,
            why_not={
                "vmas": "recordings hold counts of VMAs, not each VMA",
                "programs": "recordings hold the sum of all programs only",
            },
        )
        return ScreenState(
            sample, events[max(0, end - MOST_TRACE_EVENTS) : end], self._cursor.trends(position, TREND_VALUES), extras
        )

    def close(self) -> None:
        self.source.close()


class Trends:
    """The last rates of a live feed, for the sparklines."""

    def __init__(self) -> None:
        self._values: deque[tuple[float | None, ...]] = deque(maxlen=TREND_VALUES + 600)

    def add(self, sample: Sample) -> None:
        self._values.append(tuple(sample.rates.get(name) for name in TRENDS))

    def before(self, back: int) -> dict[str, list[float | None]]:
        """{name: values} up to the sample that is ``back`` from the newest."""
        end = len(self._values) - back
        rows = [self._values[index] for index in range(max(0, end - TREND_VALUES), max(0, end))]
        return {name: [row[column] for row in rows] for column, name in enumerate(TRENDS)}
