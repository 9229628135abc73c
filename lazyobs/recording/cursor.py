# SPDX-License-Identifier: MIT
"""Random access to the samples of a recording: forward by reading on, backward from the start of the segment.

Of the samples it skips, only the numbers are decoded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from math import isfinite
from typing import Any

from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.model import Sample, rate
from lazyobs.recording import samples
from lazyobs.recording.arrow import pa
from lazyobs.recording.process_rows import ProcessRows
from lazyobs.recording.reader import Recording, sample_columns
from lazyobs.recording.trace import recorded_in

_CACHED = 64  # samples
_MOST_EVENTS = 50_000  # of one segment: the pages show fewer


class Cursor:
    """``times`` holds the time of every sample in unix seconds, oldest first. A position is an index into ``times``."""

    def __init__(self, recording: Recording, trends: tuple[str, ...]) -> None:
        """``trends``: the counters whose rates ``trends()`` returns. RecordingError if the recording is damaged."""
        self._recording, self._trends = recording, trends
        self.times: list[float] = []
        self._elapsed: list[float | None] = []  # by a clock that is never set
        self._numbers: list[int] = []
        self._segments: list[int] = []  # the segment of each sample
        self._counts: list[tuple[Any, ...]] = []
        for segment in recording.segments:
            for batch in recording.batches("samples", segment):
                self.times += batch.column("time").to_pylist()
                self._numbers += batch.column("number").to_pylist()
                self._segments += [segment] * batch.num_rows
                self._counts += zip(*(batch.column(name).to_pylist() for name in trends))
                names = batch.schema.names
                self._elapsed += batch.column("elapsed").to_pylist() if "elapsed" in names else [None] * batch.num_rows
        if not all(isinstance(time, float) and isfinite(time) for time in self.times):
            raise recording.damaged("the table samples", "a sample has no time")
        self._cache: OrderedDict[int, Sample] = OrderedDict()
        self._scan: _Scan | None = None
        self._events: tuple[int, list[TraceEvent], list[float]] = (-1, [], [])

    def sample(self, position: int) -> Sample:
        """RecordingError if the recording is damaged."""
        if position in self._cache:
            self._cache.move_to_end(position)
            return self._cache[position]
        segment, number = self._segments[position], self._numbers[position]
        if self._scan is None or self._scan.segment != segment or self._scan.last >= number:
            self._scan = _Scan(self._recording, segment)
        self._cache[position] = sample = self._scan.sample(number)
        if len(self._cache) > _CACHED:
            self._cache.popitem(last=False)
        return sample

    def events(self, position: int) -> tuple[list[TraceEvent], list[float]]:
        """Trace events of the segment that holds the sample, oldest first, with their times."""
        segment = self._segments[position]
        if self._events[0] != segment:
            events = []
            for trace_event in recorded_in(self._recording, segment, EventFilter(), splats=True):
                events.append(trace_event)
                if len(events) >= 2 * _MOST_EVENTS:
                    del events[:_MOST_EVENTS]
            self._events = segment, events, [trace_event.time for trace_event in events]
        return self._events[1], self._events[2]

    def trends(self, position: int, count: int) -> dict[str, list[float | None]]:
        """{counter: rates} of the last ``count`` samples up to and including that sample; unknown rates are None."""
        begin = max(0, position + 1 - count)
        rates: dict[str, list[float | None]] = {name: [] for name in self._trends}
        for index in range(begin, position + 1):
            before = self._counts[index - 1] if index else (None,) * len(self._trends)
            elapsed = self._since(index) if index else 0.0
            for column, name in enumerate(self._trends):
                rates[name].append(rate(self._counts[index][column], before[column], elapsed))
        return rates

    def _since(self, index: int) -> float:
        """Seconds since the sample before. Where samples between the two are not kept, the clock has to do."""
        elapsed = self._elapsed[index]
        if elapsed is not None and self._numbers[index] == self._numbers[index - 1] + 1:
            return elapsed
        return self.times[index] - self.times[index - 1]

    def position(self, time: float) -> int:
        """The position of the last sample at or before ``time``; 0 if there is none."""
        return max(0, bisect_right(self.times, time) - 1)


class _Scan:
    """Reads a segment once, forward. ``last`` is the number of the last sample read."""

    def __init__(self, recording: Recording, segment: int) -> None:
        self.segment = segment
        self.last = -1
        self._recording = recording
        self._documents = recording.batches("samples", segment)
        self._document_batch: pa.RecordBatch | None = None
        self._processes = ProcessRows(recording.batches("processes", segment))

    def sample(self, number: int) -> Sample:
        document, count = self._document(number)
        try:
            sample = samples.read_sample(document, self._processes.of(number))
            self._recording.note_missing(self.segment, count, sample)
        except (ValueError, KeyError, TypeError) as error:
            raise self._recording.damaged(f"sample {number}", error) from None
        self.last = number
        return sample

    def _document(self, number: int) -> tuple[str, int | None]:
        """(document, number of processes) of that sample."""
        while True:
            if self._document_batch is not None:
                numbers = self._document_batch.column("number").to_pylist()
                if number in numbers:
                    row = self._document_batch.slice(numbers.index(number), 1)
                    ((_, document, count),) = sample_columns(row)
                    return document, count
            self._document_batch = next(self._documents, None)
            if self._document_batch is None:
                raise self._recording.damaged(f"segment {self.segment}", f"sample {number} is missing")
