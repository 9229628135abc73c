# SPDX-License-Identifier: MIT
"""The trace of a recording: its events, splats, and losses at their place in time."""

from __future__ import annotations

import heapq
import mmap
from collections.abc import Iterator

from lazyobs.bpf import event
from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.recording.arrow import pa
from lazyobs.recording.layout import STREAM, SegmentFile
from lazyobs.recording.reader import Recording

_PAGE_BYTES = {"x86_64": 4096, "i686": 4096, "s390x": 4096}  # machines whose kernels have no other page size
_MOST_PAGE = 1 << 20


class RecordedTrace:
    """A Trace (sources/source.py) of all segments, ordered by time."""

    def __init__(self, recording: Recording, wanted: EventFilter, splats: bool) -> None:
        self._events = (
            found for segment in recording.segments for found in recorded_in(recording, segment, wanted, splats)
        )

    def read(self, seconds: float) -> list[TraceEvent]:
        """The next event only, without a wait: the caller sets the pace. EOFError after the last event, RecordingError
        where the recording is damaged."""
        for trace_event in self._events:
            return [trace_event]
        raise EOFError

    def close(self) -> None:
        """Does nothing: the source owns the recording and closes it."""


def recorded_in(recording: Recording, segment: int, wanted: EventFilter, splats: bool) -> Iterator[TraceEvent]:
    """Events, splats and losses of one segment, ordered by time."""
    streams = [_recorded_events(recording, segment, wanted), _recorded_marks(recording, segment, wanted)]
    if splats:
        streams.append(_recorded_splats(recording, segment))
    yield from heapq.merge(*streams, key=lambda trace_event: trace_event.time)


def _recorded_events(recording: Recording, segment: int, wanted: EventFilter) -> Iterator[TraceEvent]:
    """The events, and between them how many are lost to damage: at the time of the event that follows."""
    page, last = page_bytes(recording), 0.0
    losses = _Losses(recording, SegmentFile("events", segment, STREAM).name)
    for batch in recording.batches("events", segment):
        for record, offset in _decoded(batch):
            if record.kind >= len(event.KINDS):
                raise recording.damaged(f"an event of segment {segment}", f"there is no kind {record.kind}")
            last = (record.stamp + offset) / 1e9
            yield from losses.since(last)
            if wanted.passes(record):
                yield TraceEvent.of_event(record, offset, page)
    yield from losses.since(last or _first_time(recording, segment))


def _first_time(recording: Recording, segment: int) -> float:
    """Unix seconds of the segment's first sample; 0 without one."""
    for batch in recording.batches("samples", segment, lambda _there: ["time"]):
        for time in batch.column("time").to_pylist():
            if time is not None:
                return float(time)
    return 0.0


def page_bytes(recording: Recording) -> int:
    """The page size of the recorded machine. Recordings of earlier versions do not say it; those of machines that have
    but one size need not."""
    said = recording.identity.get("page_bytes")
    if isinstance(said, int) and 0 < said <= _MOST_PAGE and said & (said - 1) == 0:
        return said
    machine = recording.identity.get("machine")
    return _PAGE_BYTES.get(machine, mmap.PAGESIZE) if isinstance(machine, str) else mmap.PAGESIZE


class _Losses:
    """What damage has taken from a stream, as far as it was read."""

    def __init__(self, recording: Recording, name: str) -> None:
        self._recording, self._name = recording, name
        self._rows, self._certain = 0, True

    def since(self, time: float) -> Iterator[TraceEvent]:
        """The loss since the last call, if there is one, at ``time``."""
        damage = self._recording.damage.get(self._name)
        if damage is None or (damage.rows, damage.certain) == (self._rows, self._certain):
            return
        rows = damage.rows - self._rows
        self._rows, self._certain = damage.rows, damage.certain
        yield TraceEvent.damaged(time, rows if damage.certain else None, self._name)


def _decoded(batch: pa.RecordBatch) -> list[tuple[event.Event, int]]:
    """[(event, ns to add to its stamps to get unix time)] of a batch."""
    columns = [batch.column(name).to_pylist() for name in (*event.Event._fields, "offset")]
    return [(event.Event._make(values[:-1]), values[-1]) for values in zip(*columns)]


def _recorded_marks(recording: Recording, segment: int, wanted: EventFilter) -> Iterator[TraceEvent]:
    """Losses, and violations that the recorder itself found: those of the ledger, which belong to no process."""
    for batch in recording.batches("marks", segment):
        for row in batch.to_pylist():
            if row["time"] is None:
                continue
            if row["kind"] == "lost":
                yield TraceEvent.lost(row["time"], int(row["value"] or 0))
            elif row["kind"] == "violation" and "violation" in wanted.kinds and not wanted.pids and wanted.comm is None:
                objects = abs(int(row["value"] or 0))
                yield TraceEvent(row["time"], "violation", "ledger", objects=objects, text=row["text"] or "")


def _recorded_splats(recording: Recording, segment: int) -> Iterator[TraceEvent]:
    for batch in recording.batches("kernel_log", segment):
        for row in batch.to_pylist():
            if row["kind"] and row["time"] is not None:
                yield TraceEvent.splat(row["time"], row["kind"], row["text"] or "")
