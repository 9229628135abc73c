# SPDX-License-Identifier: MIT
"""What ``trace`` shows, from the running kernel or from a recording: events, splats, and losses where they were."""

from __future__ import annotations

import heapq
import mmap
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lazyobs.bpf import event
from lazyobs.bpf.event_counts import EventCounts
from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.maps import possible_cpus
from lazyobs.bpf.ring import Ring
from lazyobs.bpf.session import Session
from lazyobs.bpf.trace_event import Happening
from lazyobs.kernel.log import KernelLog
from lazyobs.recording.kernel_log import Splats
from lazyobs.text import plural

if TYPE_CHECKING:
    from lazyobs.recording.reader import Recording

_SECONDS_TO_LOOK = 0.1  # few events do not wake the reader


def _lost(moment: float, count: int) -> Happening:
    return Happening(moment, "lost", objects=count, text=f"{count} {plural(count, 'event')} lost: the ring had no room")


def _splat(moment: float, kind: str, text: str) -> Happening:
    return Happening(moment, "splat", kind, text=text)


class LiveHappenings:
    """From an attached session with events. ``lost``: events for which there was no room so far."""

    def __init__(self, session: Session, wanted: EventFilter, log: KernelLog | None) -> None:
        """``log`` is None where splats are not wanted."""
        self._ring = Ring(session.maps["events"])
        self._counts = EventCounts(session.maps["event_counts"], possible_cpus())
        self._splats = Splats(log) if log is not None else None
        self.lost = 0
        wanted.apply(session)

    def read(self, seconds: float) -> list[Happening]:
        """What has happened, after a wait of ``seconds`` at most when there is nothing yet."""
        values = self._ring.read()
        if not values:
            self._ring.wait(min(seconds, _SECONDS_TO_LOOK))
            values = self._ring.read()
        real = time.time_ns()
        offset = real - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        found = [Happening.of_event(event.Event._make(one), offset, mmap.PAGESIZE) for one in values]
        lost = self._counts.lost()
        if lost > self.lost:
            found.append(_lost(real / 1e9, lost - self.lost))
            self.lost = lost
        lines = self._splats.read() if self._splats is not None else []
        found += [_splat(real / 1e9, line.kind, line.text) for line in lines if line.kind]
        return found

    def close(self) -> None:
        self._ring.close()


def recorded(recording: Recording, wanted: EventFilter, splats: bool) -> Iterator[Happening]:
    """From a recording, in order of time. RecordingError where it is damaged."""
    for segment in recording.segments:
        yield from recorded_in(recording, segment, wanted, splats)


def recorded_in(recording: Recording, segment: int, wanted: EventFilter, splats: bool) -> Iterator[Happening]:
    """The same from one segment."""
    streams = [_recorded_events(recording, segment, wanted), _recorded_marks(recording, segment, wanted)]
    if splats:
        streams.append(_recorded_splats(recording, segment))
    yield from heapq.merge(*streams, key=lambda happening: happening.time)


def _recorded_events(recording: Recording, segment: int, wanted: EventFilter) -> Iterator[Happening]:
    from lazyobs.recording.events import read_events

    for batch in recording.batches("events", segment):
        for record, offset in read_events(batch):
            if record.kind >= len(event.KINDS):
                raise recording.damaged(f"an event of segment {segment}", f"there is no kind {record.kind}")
            if wanted.passes(record):
                yield Happening.of_event(record, offset, mmap.PAGESIZE)


def _recorded_marks(recording: Recording, segment: int, wanted: EventFilter) -> Iterator[Happening]:
    """Losses, and what the recorder saw broken: the ledger, which is of no process."""
    for batch in recording.batches("marks", segment):
        for row in batch.to_pylist():
            if row["time"] is None:
                continue
            if row["kind"] == "lost":
                yield _lost(row["time"], int(row["value"] or 0))
            elif row["kind"] == "violation" and "violation" in wanted.kinds and not wanted.pids and wanted.comm is None:
                objects = abs(int(row["value"] or 0))
                yield Happening(row["time"], "violation", "ledger", objects=objects, text=row["text"] or "")


def _recorded_splats(recording: Recording, segment: int) -> Iterator[Happening]:
    for batch in recording.batches("kernel_log", segment):
        for row in batch.to_pylist():
            if row["kind"] and row["time"] is not None:
                yield _splat(row["time"], row["kind"], row["text"] or "")
