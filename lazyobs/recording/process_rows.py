# SPDX-License-Identifier: MIT
"""Rows of the table processes, grouped by their sample."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from lazyobs.model import Process
from lazyobs.recording import samples
from lazyobs.recording.arrow import pa

_MOST_AHEAD = 4096  # rows


class ProcessRows:
    """Returns the processes of one sample after another, in ascending order of the samples' numbers.

    Rows of skipped samples are not decoded. Consecutive samples are decoded ahead, because a call costs as much as
    a hundred rows.
    """

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        """``batches`` hold rows in ascending order of their sample's number, as the recorder writes them."""
        self._batches = batches
        self._batch: pa.RecordBatch | None = None
        self._numbers: list[int] = []  # of the batch's rows
        self._at = 0  # first row of the batch after the last sample returned
        self._decoded: list[tuple[int, Process]] = []  # rows of the batch from _decoded_from to _decoded_end
        self._decoded_from = self._decoded_end = 0
        self._ahead = 0  # rows

    def of(self, number: int) -> list[Process]:
        """Processes of that sample. ValueError, KeyError or TypeError if the rows are damaged."""
        processes: list[Process] = []
        while self._batch is not None or self._next_batch():
            first = bisect_left(self._numbers, number, self._at)
            self._at = bisect_right(self._numbers, number, first)
            # If a damaged recording has rows out of order, the rows found may include rows of other samples.
            processes += [process for row_number, process in self._rows(first, self._at) if row_number == number]
            if self._at < len(self._numbers):
                return processes  # the rest of the batch belongs to later samples
            self._batch = None
        return processes

    def _next_batch(self) -> bool:
        self._batch = next(self._batches, None)
        if self._batch is None:
            return False
        self._numbers, self._at = self._batch.column("number").to_pylist(), 0
        self._decoded, self._decoded_from, self._decoded_end = [], 0, 0
        return True

    def _rows(self, first: int, end: int) -> list[tuple[int, Process]]:
        if end > self._decoded_end:
            self._decode(first, end)
        return self._decoded[first - self._decoded_from : end - self._decoded_from]

    def _decode(self, first: int, end: int) -> None:
        assert self._batch is not None
        if first > self._decoded_end:  # samples were skipped
            self._decoded, self._decoded_end, self._ahead = [], first, 0
        count = max(end - self._decoded_end, self._ahead)
        self._ahead = min(2 * count, _MOST_AHEAD)
        kept = self._decoded[first - self._decoded_from :]
        more = samples.read_processes(self._batch.slice(self._decoded_end, count))
        self._decoded, self._decoded_from = kept + more, first
        self._decoded_end += len(more)
