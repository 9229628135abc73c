# SPDX-License-Identifier: MIT
"""The clocks of the running kernel and of a recording. Each reads its feed in a thread."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.model import Sample
from lazyobs.screen.feed import MOST_TRACE_EVENTS, LiveFeed, RecordedFeed, Trends
from lazyobs.screen.history import History
from lazyobs.screen.state import Extras, ScreenState, Wanted
from lazyobs.screen.timeline import Clock, Timeline
from lazyobs.unix.process_id import absent
from lazyobs.views.process_filter import ProcessFilter

_Show = Callable[[ScreenState], None]


class LiveClock(Clock):
    """Shows the newest sample of the running kernel, or one of the last minutes."""

    def __init__(self, feed: LiveFeed) -> None:
        self.feed = feed
        self.delay = feed.interval
        self.delay_chosen = False
        self._back = 0  # samples behind the newest
        self._history = History()
        self._trends = Trends()
        self._trace_events: deque[TraceEvent] = deque(maxlen=MOST_TRACE_EVENTS)
        self._extras = Extras()
        self._hurry = asyncio.Event()
        self.show: _Show = lambda screen_state: None
        self.wanted: Callable[[], Wanted] = Wanted
        self.own_cpu: float | None = None

    def timeline(self) -> Timeline | None:
        if not self._history:
            return None
        count = len(self._history)
        return Timeline(self._history[0].time, self._history[-1].time, count - 1 - self._back, count)

    def step(self, samples: int) -> None:
        self._freeze_at(self._back - samples)

    def seek(self, position: int) -> None:
        self._freeze_at(len(self._history) - 1 - position)

    def _freeze_at(self, back: int) -> None:
        self.frozen = True
        self._back = min(max(back, 0), max(0, len(self._history) - 1))
        self._show()

    def freeze(self) -> None:
        self.frozen = not self.frozen
        if not self.frozen:
            self._back = 0
        self._show()

    def set_delay(self, seconds: float) -> None:
        self.delay, self.delay_chosen = seconds, True
        self._hurry.set()

    def hurry(self) -> None:
        self._hurry.set()

    def _show(self) -> None:
        if not self._history:
            return
        sample = self._history[len(self._history) - 1 - self._back]
        trace_events: Sequence[TraceEvent] = self._trace_events
        if self._back:
            trace_events = [event for event in self._trace_events if event.time <= sample.time]
        self.show(ScreenState(sample, trace_events, self._trends.before(self._back), self._extras))

    async def run(self, reader: ThreadPoolExecutor, iterations: int | None, pids: tuple[int, ...]) -> None:
        """Returns after ``iterations`` samples, or when all processes of ``pids`` have exited."""
        loop = asyncio.get_running_loop()
        due = time.monotonic()
        count = 0
        while True:
            update = await loop.run_in_executor(reader, self.feed.read, self.wanted())
            sample = update.sample
            self.own_cpu = _cpu_share(self._history[-1] if self._history else None, sample)
            self._history.add(sample)
            self._trends.add(sample)
            self._trace_events.extend(update.trace_events)
            self._extras = update.extras
            if ProcessFilter(pids).has_ended(sample.processes):
                if not count:
                    raise absent(pids, live=True)
                return
            if self.frozen:
                self._back = min(self._back + 1, len(self._history) - 1)
            self._show()
            count += 1
            if count == iterations:
                return
            if not self.feed.paces:
                due = await self._sleep_from(due)

    async def _sleep_from(self, before: float) -> float:
        """Sleeps until one delay after ``before``, or until the view lacks something. Returns when the next sample was
        due, or now if that is more than a delay ago."""
        while True:
            now, due = time.monotonic(), before + self.delay
            if now >= due:
                return due if now - due < self.delay else now
            self._hurry.clear()
            try:
                await asyncio.wait_for(self._hurry.wait(), due - now)
            except asyncio.TimeoutError:
                continue
            if self._lacks(self.wanted()):
                return time.monotonic()

    def _lacks(self, wanted: Wanted) -> bool:
        extras = self._extras
        return (wanted.vmas_of is not None and wanted.vmas_of != extras.vmas_of) or (
            wanted.programs and extras.programs is None and "programs" not in extras.why_not
        )


class RecordedClock(Clock):
    """Plays a recording, pauses, and goes to any sample of it."""

    recorded = True

    def __init__(self, feed: RecordedFeed) -> None:
        self.feed = feed
        self.delay = feed.interval
        self.delay_chosen = False
        self._position = 0
        self._hurry = asyncio.Event()
        self.show: _Show = lambda screen_state: None
        self.wanted: Callable[[], Wanted] = Wanted
        self.own_cpu: float | None = None

    def timeline(self) -> Timeline:
        times = self.feed.times
        return Timeline(times[0], times[-1], self._position, len(times))

    def step(self, samples: int) -> None:
        self.seek(self._position + samples)

    def seek(self, position: int) -> None:
        self.frozen = True
        self._position = min(max(position, 0), len(self.feed.times) - 1)
        self._hurry.set()

    def freeze(self) -> None:
        self.frozen = not self.frozen
        if not self.frozen and self._is_at_end():
            self._position = 0
        self._hurry.set()

    def _is_at_end(self) -> bool:
        return self._position >= len(self.feed.times) - 1

    def set_delay(self, seconds: float) -> None:
        self.delay = seconds
        self._hurry.set()

    def hurry(self) -> None:
        self._hurry.set()

    async def run(self, reader: ThreadPoolExecutor, iterations: int | None, pids: tuple[int, ...]) -> None:
        """Returns after ``iterations`` samples. The last sample stays on the screen until the user quits."""
        loop = asyncio.get_running_loop()
        count = 0
        while True:
            position = self._position
            self._hurry.clear()
            screen_state = await loop.run_in_executor(reader, self.feed.at, position, self.wanted())
            if not count and ProcessFilter(pids).has_ended(screen_state.sample.processes):
                raise absent(pids, live=False)
            self.show(screen_state)
            count += 1
            if count == iterations:
                return
            try:
                await asyncio.wait_for(self._hurry.wait(), None if self.frozen or self._is_at_end() else self.delay)
            except asyncio.TimeoutError:
                if self._position == position and not self.frozen:
                    self._position += 1


def _cpu_share(before: Sample | None, sample: Sample) -> float | None:
    """The share of one CPU that this program used between two samples."""
    now, then = sample.health.get("self_cpu_seconds"), before.health.get("self_cpu_seconds") if before else None
    return None if now is None or then is None or sample.elapsed <= 0 else (now - then) / sample.elapsed
