# SPDX-License-Identifier: MIT
"""Any sample of a recording, soon: forwards by reading on, backwards from the beginning of its segment.

Of the samples passed over nothing is decoded but their numbers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from math import isfinite
from typing import Any

from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.model import Process, Sample, rate
from lazyobs.recording import samples
from lazyobs.recording.arrow import pa
from lazyobs.recording.reader import Recording
from lazyobs.recording.trace import recorded_in

_KEPT = 64
_MOST_EVENTS = 50_000  # of one segment: the last ones before what is shown are what the pages show


class Cursor:
    """``times`` of all samples, oldest first, unix seconds."""

    def __init__(self, recording: Recording, trends: tuple[str, ...]) -> None:
        """``trends``: the counters whose rates ``trends()`` gives."""
        self._recording, self._trends = recording, trends
        self.times: list[float] = []
        self._numbers: list[int] = []
        self._segments: list[int] = []  # of each sample
        self._counts: list[tuple[Any, ...]] = []
        for segment in recording.segments:
            for batch in recording.batches("samples", segment):
                self.times += batch.column("time").to_pylist()
                self._numbers += batch.column("number").to_pylist()
                self._segments += [segment] * batch.num_rows
                self._counts += zip(*(batch.column(name).to_pylist() for name in trends))
        if not all(isinstance(time, float) and isfinite(time) for time in self.times):
            raise recording.damaged("the table samples", "a sample has no time")
        self._kept: OrderedDict[int, Sample] = OrderedDict()
        self._scan: _Scan | None = None
        self._events: tuple[int, list[TraceEvent], list[float]] = (-1, [], [])

    def sample(self, position: int) -> Sample:
        """RecordingError where the recording is damaged."""
        if position in self._kept:
            self._kept.move_to_end(position)
            return self._kept[position]
        segment, number = self._segments[position], self._numbers[position]
        if self._scan is None or self._scan.segment != segment or self._scan.passed >= number:
            self._scan = _Scan(self._recording, segment)
        self._kept[position] = found = self._scan.sample(number)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return found

    def events(self, position: int) -> tuple[list[TraceEvent], list[float]]:
        """Events of the segment that the sample is in, and their times."""
        segment = self._segments[position]
        if self._events[0] != segment:
            found = []
            for trace_event in recorded_in(self._recording, segment, EventFilter(), splats=True):
                found.append(trace_event)
                if len(found) >= 2 * _MOST_EVENTS:
                    del found[:_MOST_EVENTS]
            self._events = segment, found, [trace_event.time for trace_event in found]
        return self._events[1], self._events[2]

    def trends(self, position: int, count: int) -> dict[str, list[float | None]]:
        """{name: rates} of the samples up to that one."""
        begin = max(0, position + 1 - count)
        found: dict[str, list[float | None]] = {name: [] for name in self._trends}
        for index in range(begin, position + 1):
            before = self._counts[index - 1] if index else (None,) * len(self._trends)
            elapsed = self.times[index] - self.times[index - 1] if index else 0.0
            for column, name in enumerate(self._trends):
                found[name].append(rate(self._counts[index][column], before[column], elapsed))
        return found

    def position(self, time: float) -> int:
        """Of the last sample that is not later; the first one where all are."""
        return max(0, bisect_right(self.times, time) - 1)


class _Scan:
    """One way through a segment. ``passed``: number of the last sample handed out."""

    def __init__(self, recording: Recording, segment: int) -> None:
        self.segment = segment
        self.passed = -1
        self._recording = recording
        self._documents = recording.batches("samples", segment)
        self._document_batch: pa.RecordBatch | None = None
        self._processes = _Groups(recording.batches("processes", segment))

    def sample(self, number: int) -> Sample:
        document = self._document(number)
        try:
            found = samples.read_sample(document, self._processes.of(number))
        except (ValueError, KeyError, TypeError) as error:
            raise self._recording.damaged(f"sample {number}", error) from None
        self.passed = number
        return found

    def _document(self, number: int) -> str:
        while True:
            if self._document_batch is not None:
                numbers = self._document_batch.column("number").to_pylist()
                if number in numbers:
                    document: str = self._document_batch.column("document")[numbers.index(number)].as_py()
                    return document
            self._document_batch = next(self._documents, None)
            if self._document_batch is None:
                raise self._recording.damaged(f"segment {self.segment}", f"sample {number} is missing")


class _Groups:
    """Rows of processes by sample; both come in rising order."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._batch: pa.RecordBatch | None = None
        self._numbers: list[int] = []

    def of(self, number: int) -> list[Process]:
        found: list[Process] = []
        while True:
            if not self._numbers:
                self._batch = next(self._batches, None)
                if self._batch is None:
                    return found
                self._numbers = self._batch.column("number").to_pylist()
            first = next((at for at, one in enumerate(self._numbers) if one >= number), len(self._numbers))
            end = next((at for at, one in enumerate(self._numbers) if one > number), len(self._numbers))
            if end > first and self._batch is not None:
                found += [process for _, process in samples.read_processes(self._batch.slice(first, end - first))]
            if end < len(self._numbers):
                return found  # what follows stays for later samples; the batch is looked at again
            self._numbers = []
