# SPDX-License-Identifier: MIT
"""The source of the screen's samples: the running kernel, or a recording with random access to its samples.

Feeds are read in a separate thread, one call at a time.
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.model import Sample
from lazyobs.screen.state import TREND_VALUES, TRENDS, Extras, LiveUpdate, ScreenState, Wanted
from lazyobs.sources.growth import Growth
from lazyobs.sources.source import Source

if TYPE_CHECKING:
    from lazyobs.recording.replay import ReplaySource

_BATCHES = 32  # of the ring in one turn: a storm of forks must not delay the screen; the rest is reported as lost
MOST_TRACE_EVENTS = 2000


class LiveFeed(Protocol):
    """A feed that always has a new sample."""

    interval: float
    notice: str
    paces: bool  # readings come at their own time: the caller need not wait between them

    def read(self, wanted: Wanted) -> LiveUpdate:
        """The present state."""

    def close(self) -> None:
        """Releases everything."""


class RecordedFeed(Protocol):
    """Random access to moments by position. ``times`` are unix seconds."""

    interval: float
    times: Sequence[float]

    def at(self, position: int, wanted: Wanted) -> ScreenState:
        """The moment at that position of ``times``."""

    def close(self) -> None:
        """Releases everything."""


class KernelFeed:
    """The running kernel. Events are read if the source has them."""

    paces = False

    def __init__(self, source: Source, interval: float, notice: str = "") -> None:
        self.source, self.interval, self.notice = source, interval, notice
        self._growth = Growth()
        self._trace = None if source.why_not("events") else source.trace(EventFilter(), splats=False)

    def read(self, wanted: Wanted) -> LiveUpdate:
        sample = self.source.read()
        self._growth.note(sample)
        trace_events = self._read_trace()
        return LiveUpdate(sample, trace_events, self.extras(sample, wanted))

    def _read_trace(self) -> list[TraceEvent]:
        found: list[TraceEvent] = []
        if self._trace is not None:
            for _ in range(_BATCHES):
                some = self._trace.read(0)
                found += some
                if not some:
                    break
        return found

    def extras(self, sample: Sample, wanted: Wanted) -> Extras:
        """The data that the screen shows besides the sample."""
        extras = Extras(vmas_of=wanted.vmas_of, why_not=_reasons(self.source))
        if wanted.vmas_of is not None and "vmas" not in extras.why_not:
            extras.vmas, extras.vmas_time = self.source.vmas(wanted.vmas_of), sample.time
        if wanted.programs and "programs" not in extras.why_not:
            extras.programs = list(self.source.programs())
        return extras

    def close(self) -> None:
        if self._trace is not None:
            self._trace.close()
        self.source.close()


def _reasons(source: Source) -> dict[str, str]:
    """{data besides the sample: why this source never has it}."""
    found = {name: source.why_not(name) for name in ("vmas", "programs")}
    return {name: why for name, why in found.items() if why}


class ReplayFeed:
    """A recording: each sample can be shown at any time."""

    def __init__(self, source: ReplaySource, interval: float) -> None:
        self.source, self.interval = source, interval
        self._cursor = source.cursor(TRENDS)
        self.times: Sequence[float] = self._cursor.times
        self._growth: Growth | None = None

    def at(self, position: int, wanted: Wanted) -> ScreenState:
        sample = self._cursor.sample(position)
        if self._growth is None:  # from the first sample on, wherever the reader begins
            self._growth = Growth()
            self._growth.note(self._cursor.sample(0))
        self._growth.note(sample)
        events, stamps = self._cursor.events(position)
        end = bisect.bisect_right(stamps, sample.time)
        extras = Extras(vmas_of=wanted.vmas_of, why_not=_reasons(self.source))
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
        """{name: values} up to the sample that is ``back`` samples before the newest."""
        end = len(self._values) - back
        rows = [self._values[index] for index in range(max(0, end - TREND_VALUES), max(0, end))]
        return {name: [row[column] for row in rows] for column, name in enumerate(TRENDS)}
