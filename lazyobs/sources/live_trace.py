# SPDX-License-Identifier: MIT
"""The trace of the running kernel: events as they happen, splats, and losses at their place in time."""

from __future__ import annotations

import mmap
import time
from typing import TYPE_CHECKING

from lazyobs.bpf import event
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.unix.clock import boottime_ns

if TYPE_CHECKING:
    from lazyobs.bpf.event_stream import EventStream
    from lazyobs.kernel.log import Splats

_SECONDS_TO_LOOK = 0.1  # few events do not wake the reader


class LiveTrace:
    """Reads a started stream and the kernel log. ``lost``: events for which the ring had no room so far."""

    def __init__(self, stream: EventStream, splats: Splats | None) -> None:
        """``splats`` None: without splats."""
        self._stream, self._splats = stream, splats
        self.lost = 0

    def read(self, seconds: float) -> list[TraceEvent]:
        """The new events; if there are none yet, waits for at most ``seconds``."""
        ring = self._stream.ring
        values = ring.read()
        if not values:
            ring.wait(min(seconds, _SECONDS_TO_LOOK))
            values = ring.read()
        real = time.time_ns()
        offset = real - boottime_ns()
        found = [
            TraceEvent.of_event(event.Event._make(one), offset, mmap.PAGESIZE) for one in self._stream.chosen(values)
        ]
        lost = self._stream.lost()
        if lost > self.lost:
            found.append(TraceEvent.lost(real / 1e9, lost - self.lost))
            self.lost = lost
        lines = self._splats.read() if self._splats is not None else []
        found += [TraceEvent.splat(real / 1e9, line.kind, line.text) for line in lines if line.kind]
        return found

    def close(self) -> None:
        """Does nothing: the source owns the stream and the log and closes them."""
