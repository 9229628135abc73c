# SPDX-License-Identifier: MIT
"""What ``trace`` shows, from the running kernel or from a recording: events, splats, and losses where they were."""

from __future__ import annotations

import mmap
import time
from typing import TYPE_CHECKING

from lazyobs.bpf import event
from lazyobs.bpf.event_counts import EventCounts
from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.maps import possible_cpus
from lazyobs.bpf.ring import Ring
from lazyobs.bpf.session import Session
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.kernel.log import KernelLog, Splats

if TYPE_CHECKING:
    pass

_SECONDS_TO_LOOK = 0.1  # few events do not wake the reader


class LiveTrace:
    """From an attached session with events. ``lost``: events for which there was no room so far."""

    def __init__(self, session: Session, wanted: EventFilter, log: KernelLog | None) -> None:
        """``log`` is None where splats are not wanted."""
        self._ring = Ring(session.maps["events"])
        self._counts = EventCounts(session.maps["event_counts"], possible_cpus())
        self._splats = Splats(log) if log is not None else None
        self.lost = 0
        wanted.apply(session)

    def read(self, seconds: float) -> list[TraceEvent]:
        """What has happened, after a wait of ``seconds`` at most when there is nothing yet."""
        values = self._ring.read()
        if not values:
            self._ring.wait(min(seconds, _SECONDS_TO_LOOK))
            values = self._ring.read()
        real = time.time_ns()
        offset = real - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        found = [TraceEvent.of_event(event.Event._make(one), offset, mmap.PAGESIZE) for one in values]
        lost = self._counts.lost()
        if lost > self.lost:
            found.append(TraceEvent.lost(real / 1e9, lost - self.lost))
            self.lost = lost
        lines = self._splats.read() if self._splats is not None else []
        found += [TraceEvent.splat(real / 1e9, line.kind, line.text) for line in lines if line.kind]
        return found

    def close(self) -> None:
        self._ring.close()
