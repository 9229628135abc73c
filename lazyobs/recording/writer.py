# SPDX-License-Identifier: MIT
"""Writes a recording: one segment after another; a limit drops the oldest segments.

When ``append`` returns, the kernel has the data: it survives the death of this process. A second thread converts
finished segments to Parquet and syncs, so that a slow disk does not delay the reading of events.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lazyobs.recording import finish
from lazyobs.recording.description import write_description
from lazyobs.recording.directory import Directory
from lazyobs.recording.encoder import Encoder
from lazyobs.recording.errors import RecordingStopped
from lazyobs.recording.finish import Finish
from lazyobs.recording.layout import (
    COMPRESSION,
    DESCRIPTION,
    KEPT,
    RESERVE,
    TABLES,
    columns,
    segment_file,
)
from lazyobs.recording.segment import Changed, Segment
from lazyobs.unix import memory, privileges

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_RESERVE_BYTES = 256 << 10  # freed when the disk is full, so that the last lines can still be written
MOST_KEPT = 3


@dataclass(frozen=True)
class Limits:
    """``max_bytes`` and ``max_seconds`` make it a flight recorder that drops older segments."""

    segment_bytes: int = 16 << 20
    segment_seconds: float = 900.0
    sync_seconds: float = 5.0
    max_bytes: int | None = None
    max_seconds: float | None = None

    def rotate_bytes(self) -> int:
        """Small enough that dropping one segment does not drop most of the recording."""
        return self.segment_bytes if self.max_bytes is None else min(self.segment_bytes, self.max_bytes // 8)

    def rotate_seconds(self) -> float:
        return self.segment_seconds if self.max_seconds is None else min(self.segment_seconds, self.max_seconds / 8)


@dataclass
class _Kept:
    """Segments that a trigger keeps from being dropped."""

    reason: str
    segments: list[int] = field(default_factory=list)


def _is_full(error: Exception) -> bool:
    """A disk without room for Parquet may have room for streams; where it has none, ``append`` says so."""
    return isinstance(error, OSError) and error.errno in _FULL


class Store:
    """The writer's side of one recording."""

    def __init__(
        self,
        directory: Directory,
        identity: dict[str, Any],
        interval: float,
        system_columns: tuple[str, ...] = (),
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        finishing: Finish | None = None,
    ) -> None:
        """Writes the description first. RecordingStopped when the disk has no room for it. ``finishing``: the best
        there is."""
        self._finishing = finishing or finish.best()
        self._directory, self._clock = directory, clock
        self._limits = limits or Limits()
        self._columns = {table: columns(table, system_columns) for table in TABLES}
        self._kept: list[_Kept] = []
        self._closed_at: dict[int, float] = {}
        self._failure: Exception | None = None  # of the other thread
        self._bytes_at_end: int | None = None
        self.rows = dict.fromkeys(TABLES, 0)
        self._interval = interval
        try:
            self._reserve()
        except OSError as error:
            raise self._stopped(error) from None
        self.describe(identity)
        self._segment = Segment(directory, 1, self._encoder)
        self._opened = self._synced = clock()
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._worker = threading.Thread(target=self._run_worker, name="recording", daemon=True)
        self._worker.start()

    def describe(self, identity: dict[str, Any]) -> None:
        """Writes the description, in place of an earlier one. RecordingStopped when the disk has no room for it."""
        try:
            self._directory.publish(DESCRIPTION, write_description(identity, self._interval))
        except OSError as error:
            raise self._stopped(error) from None

    @property
    def note(self) -> str:
        """What the user should know of the form in which this is written; "" for the usual one."""
        return self._finishing.note

    def _encoder(self, table: str) -> Encoder:
        return Encoder(self._columns[table], COMPRESSION.get(table))

    def _reserve(self) -> None:
        fd = self._directory.create(RESERVE)
        try:
            os.posix_fallocate(fd, 0, _RESERVE_BYTES)
        finally:
            os.close(fd)

    def append(self, table: str, columns: Mapping[str, Any]) -> None:
        """Appends rows to a table. RecordingStopped when they cannot be written; earlier rows stay intact."""
        try:
            self.rows[table] += self._segment.append(table, columns)
        except OSError as error:
            raise self._stopped(error) from None

    def _stopped(self, error: Exception) -> RecordingStopped:
        path = self._directory.path
        if self._directory.is_gone():
            return RecordingStopped(path, "its directory was removed", "record again, and keep it until the end")
        if isinstance(error, Changed):
            return RecordingStopped(path, f"{error.strerror}; the rest can be read", "keep other programs out of it")
        if not isinstance(error, OSError):
            return RecordingStopped(
                path, f"its writer failed ({type(error).__name__}: {error})", "report this as a bug"
            )
        if error.errno in _FULL:
            self._directory.remove(RESERVE)
            return RecordingStopped(
                path,
                f"{os.strerror(error.errno or errno.ENOSPC).lower()}; what was recorded until then can be read",
                "free some space, or limit the recording with --max-size",
            )
        return RecordingStopped(path, f"writing failed ({error.strerror})", "check the disk")

    def _look(self) -> None:
        """RecordingStopped when the other thread has failed or ended, or another process has changed what is here."""
        failure, self._failure = self._failure, None
        if failure is not None and not _is_full(failure):
            raise self._stopped(failure)
        if not self._worker.is_alive():
            raise self._stopped(RuntimeError("its thread has ended"))
        try:
            self._segment.look()
        except OSError as error:
            raise self._stopped(error) from None
        if self._directory.is_gone():
            raise self._stopped(OSError(errno.ENOENT, os.strerror(errno.ENOENT)))

    def maintain(self) -> None:
        """Called between two ticks: starts a new segment, syncs, and drops old segments when due. RecordingStopped when
        anything has gone wrong since."""
        self._look()
        now = self._clock()
        age = now - self._opened
        if self._segment.bytes >= self._limits.rotate_bytes() or age >= self._limits.rotate_seconds():
            self._rotate()
        elif now - self._synced >= self._limits.sync_seconds:
            self._synced = now
            self._work.put(self._segment.sync)
        self._drop(now)

    def _rotate(self) -> None:
        ended, self._segment = self._segment, Segment(self._directory, self._segment.number + 1, self._encoder)
        self._opened = self._synced = self._clock()
        self._closed_at[ended.number] = self._opened
        self._work.put(lambda: self._finish(ended))

    def _finish(self, segment: Segment) -> None:
        if self._finishing.convert is None:
            segment.end()
        segment.close()
        if self._finishing.convert is not None:
            self._finishing.convert(self._directory, segment.number)
        memory.trim()
        memory.forget_code()

    def _run_worker(self) -> None:
        with contextlib.suppress(OSError):
            privileges.keep_nothing()  # those that the main thread keeps for reading /proc are its own
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception as error:
                self._failure = self._failure or error

    def _drop(self, now: float) -> None:
        if self._limits.max_bytes is None and self._limits.max_seconds is None:
            return
        kept = {number for incident in self._kept for number in incident.segments}
        by_segment = self._bytes_by_segment()
        droppable = sorted(number for number in self._closed_at if number not in kept)
        total = sum(size for number, size in by_segment.items() if number not in kept)
        for number in droppable:
            too_big = self._limits.max_bytes is not None and total > self._limits.max_bytes
            too_old = self._limits.max_seconds is not None and now - self._closed_at[number] > self._limits.max_seconds
            if not too_big and not too_old:
                return
            total -= by_segment.get(number, 0)
            del self._closed_at[number]
            self._work.put(lambda number=number: self._remove(number))  # type: ignore[misc]

    def _remove(self, number: int) -> None:
        for name in self._directory.sizes():
            file = segment_file(name.removesuffix(".new"))
            if file is not None and file.number == number:
                self._directory.remove(name)

    def _bytes_by_segment(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for name, size in self._directory.sizes().items():
            file = segment_file(name)
            if file is not None and (file.number in self._closed_at or file.number == self._segment.number):
                found[file.number] = found.get(file.number, 0) + size
        return found

    def keep(self, reason: str) -> bool:
        """Protects the present segments, including the current segment, from being dropped.

        False when MOST_KEPT incidents are kept already: their disk space is limited too.
        """
        taken = {number for incident in self._kept for number in incident.segments}
        segments = sorted((set(self._closed_at) | {self._segment.number}) - taken)
        if not segments:
            return True  # all of it is kept already
        if len(self._kept) >= MOST_KEPT:
            return False
        self._kept.append(_Kept(reason, segments))
        document = [{"reason": kept.reason, "segments": kept.segments} for kept in self._kept]
        try:
            self._directory.publish(KEPT, json.dumps(document).encode())
        except OSError as error:
            raise self._stopped(error) from None
        return True

    @property
    def bytes(self) -> int:
        """Bytes on disk, without the reserve for the last lines; after ``close`` those of the whole recording."""
        if self._bytes_at_end is not None:
            return self._bytes_at_end
        return sum(size for name, size in self._directory.sizes().items() if name != RESERVE)

    def close(self) -> None:
        """Finishes the last segment. If the disk has no room for that, the segment stays a readable stream.

        RecordingStopped, when all is closed, if something else went wrong with it or with earlier segments.
        """
        stopped: RecordingStopped | None = None
        try:
            self._look()
        except RecordingStopped as error:
            stopped = error
        self._work.put(lambda: self._finish(self._segment))
        self._work.put(None)
        self._worker.join()
        failure = self._failure
        if stopped is None and failure is not None and not _is_full(failure):
            stopped = self._stopped(failure)
        self._directory.remove(RESERVE)
        self._bytes_at_end = self.bytes
        self._directory.close()
        if stopped is not None:
            raise stopped
