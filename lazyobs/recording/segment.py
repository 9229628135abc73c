# SPDX-License-Identifier: MIT
"""One segment: an Arrow IPC stream per table; each batch goes to the kernel in one write.

If a stream ends in the middle of a batch because its writer was killed, it is read up to the previous batch.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lazyobs.recording.arrow import pa
from lazyobs.recording.directory import Directory, write_all
from lazyobs.recording.layout import COMPRESSION, PARQUET, STREAM, TABLES, SegmentFile
from lazyobs.recording.parquet import write_parquet
from lazyobs.recording.stream import StreamReader, StreamWriter, TooLarge


class Changed(OSError):
    """A file is not as the recorder left it: another process has changed or removed it."""


class _Stream:
    """One file. ``bytes`` is the size of its complete messages."""

    def __init__(self, directory: Directory, name: str, schema: pa.Schema, compression: str | None) -> None:
        self.schema = schema
        self.bytes = 0
        self._name = name
        self._fd = directory.create(name)
        self._writer = StreamWriter(schema, compression)

    def append(self, batch: pa.RecordBatch) -> None:
        """OSError when the write fails; the file then ends with the previous batch."""
        raw = self._writer.messages(batch)
        self.look()
        try:
            write_all(self._fd, raw)
        except OSError:
            os.ftruncate(self._fd, self.bytes)
            raise
        self.bytes += len(raw)

    def look(self) -> None:
        """Changed when another process has changed or removed the file."""
        status = os.fstat(self._fd)
        if not status.st_nlink:
            raise Changed(errno.ESTALE, f"{self._name} was removed")
        if status.st_size != self.bytes:
            raise Changed(errno.ESTALE, f"{self._name} was changed by another process")

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def close(self) -> None:
        os.close(self._fd)


class Segment:
    """The streams of one segment; a table's file is created with its first rows."""

    def __init__(self, directory: Directory, number: int, schemas: Mapping[str, pa.Schema]) -> None:
        self.number = number
        self._directory, self._schemas = directory, schemas
        self._streams: dict[str, _Stream] = {}
        self._arrays: dict[
            tuple[str, str], tuple[Sequence[Any], pa.Array]
        ] = {}  # of the last rows, by table and column

    @property
    def bytes(self) -> int:
        return sum(stream.bytes for stream in self._streams.values())

    def append(self, table: str, columns: Mapping[str, Any]) -> int:
        """Appends rows, given as lists or arrays by column; returns their number. Omitted columns are null."""
        schema = self._schemas[table]
        rows = len(next(iter(columns.values())))
        if not rows:
            return 0
        arrays = [self._array(table, field, columns.get(field.name, [None] * rows)) for field in schema]
        batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
        if table in self._streams:
            self._streams[table].append(batch)
        else:
            self._begin(table, batch)
        return rows

    def _array(self, table: str, field: pa.Field, values: Any) -> pa.Array:
        """A column. Lists are seldom others than those of the rows before, and to compare them takes a tenth of the time
        that it takes to convert them."""
        if not isinstance(values, list):
            return values if isinstance(values, pa.Array) else pa.array(values, field.type)
        before = self._arrays.get((table, field.name))
        if before is not None and before[0] == values:
            return before[1]
        array = pa.array(values, field.type)
        self._arrays[table, field.name] = values, array
        return array

    def _begin(self, table: str, batch: pa.RecordBatch) -> None:
        """Creates a table's file with its first rows. If they cannot be written, there is no file."""
        name = SegmentFile(table, self.number, STREAM).name
        stream = _Stream(self._directory, name, self._schemas[table], COMPRESSION.get(table))
        try:
            stream.append(batch)
        except BaseException:
            stream.close()
            self._directory.remove(name)
            raise
        self._streams[table] = stream

    def look(self) -> None:
        """Changed when another process has changed or removed one of the files."""
        for stream in self._streams.values():
            stream.look()

    def sync(self) -> None:
        """Syncs the files to disk, so that they survive a power failure."""
        for stream in list(self._streams.values()):
            stream.sync()

    def close(self) -> None:
        for stream in self._streams.values():
            stream.close()
        self._streams.clear()
        self._arrays.clear()


def to_parquet(directory: Directory, number: int) -> None:
    """Converts a closed segment's streams to Parquet files. At every moment at least one of the two forms exists.

    OSError when the disk is full, or a stream was changed: such streams stay as they are; the others are converted.
    """
    names = directory.sizes()
    failure: OSError | None = None
    for table in TABLES:
        stream, parquet = (SegmentFile(table, number, form).name for form in (STREAM, PARQUET))
        if stream not in names:
            continue
        try:
            if parquet not in names:
                _convert(directory, stream, parquet)
            directory.remove(stream)
        except OSError as error:
            failure = failure or error
    if failure is not None:
        raise failure


def _convert(directory: Directory, stream: str, parquet: str) -> None:
    temporary = parquet + ".new"
    directory.remove(temporary)
    fd = directory.create(temporary)
    try:
        with open(directory.open(stream), "rb") as source:
            reader = StreamReader(stream, source.read(), sealed=True)
        write_parquet(_whole(reader, stream), fd)
        os.fsync(fd)
    except BaseException:
        directory.remove(temporary)
        raise
    finally:
        os.close(fd)
    directory.rename(temporary, parquet)


def _whole(reader: StreamReader, name: str) -> Iterator[pa.RecordBatch]:
    """The batches of a stream that this recorder has written. Changed when it is not as it was written."""
    try:
        yield from reader.batches()
    except (TooLarge, ValueError, OSError) as error:  # pyarrow's errors are of these, too
        raise Changed(errno.ESTALE, f"{name} cannot be read ({error})") from None
    if reader.torn or reader.damage is not None:
        raise Changed(errno.ESTALE, f"{name} was changed by another process")
