# SPDX-License-Identifier: MIT
"""One segment: an Arrow IPC stream per table; each batch goes to the kernel in one write.

If a stream ends in the middle of a batch because its writer was killed, it is read up to the previous batch.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import pyarrow.parquet as pq

from lazyobs.recording.arrow import pa
from lazyobs.recording.directory import Directory, write_all
from lazyobs.recording.layout import COMPRESSION, PARQUET, STREAM, TABLES, SegmentFile

_COMPRESSION = "zstd"
_ROWS_A_GROUP = 1 << 17
_BYTES_A_GROUP = 4 << 20  # in memory
_BATCHES_AT_ONCE = 32


class _Stream:
    """One file. ``bytes`` is the size of its complete batches."""

    def __init__(self, directory: Directory, name: str, schema: pa.Schema, compression: str | None) -> None:
        self.schema = schema
        self.bytes = 0
        self._fd = directory.create(name)
        self._pending = io.BytesIO()
        options = pa.ipc.IpcWriteOptions(compression=compression, use_threads=False)
        self._writer = pa.ipc.new_stream(pa.PythonFile(self._pending, "w"), schema, options=options)

    def append(self, batch: pa.RecordBatch) -> None:
        """OSError when the write fails; the file then ends with the previous batch."""
        self._writer.write_batch(batch)
        raw = self._pending.getvalue()
        self._pending.seek(0)
        self._pending.truncate()
        try:
            write_all(self._fd, raw)
        except OSError:
            os.ftruncate(self._fd, self.bytes)
            raise
        self.bytes += len(raw)

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

    @property
    def bytes(self) -> int:
        return sum(stream.bytes for stream in self._streams.values())

    def append(self, table: str, columns: Mapping[str, Any]) -> int:
        """Appends rows, given as lists or arrays by column; returns their number. Omitted columns are null."""
        schema = self._schemas[table]
        rows = len(next(iter(columns.values())))
        if not rows:
            return 0
        arrays = [
            pa.nulls(rows, field.type)
            if field.name not in columns
            else columns[field.name]
            if isinstance(columns[field.name], pa.Array)
            else pa.array(columns[field.name], field.type)
            for field in schema
        ]
        if table not in self._streams:
            name = SegmentFile(table, self.number, STREAM).name
            self._streams[table] = _Stream(self._directory, name, schema, COMPRESSION.get(table))
        self._streams[table].append(pa.RecordBatch.from_arrays(arrays, schema=schema))
        return rows

    def sync(self) -> None:
        """Syncs the files to disk, so that they survive a power failure."""
        for stream in list(self._streams.values()):
            stream.sync()

    def close(self) -> None:
        for stream in self._streams.values():
            stream.close()
        self._streams.clear()


def to_parquet(directory: Directory, number: int) -> None:
    """Converts a closed segment's streams to Parquet files. At every moment at least one of the two forms exists.

    OSError when the disk is full: the streams stay and remain readable.
    """
    names = directory.sizes()
    for table in TABLES:
        stream, parquet = (SegmentFile(table, number, form).name for form in (STREAM, PARQUET))
        if stream not in names:
            continue
        if parquet not in names:
            _convert(directory, stream, parquet)
        directory.remove(stream)


def write_parquet(table: pa.Table, sink: BinaryIO) -> None:
    """Writes the rows of a finished segment's table as a Parquet file."""
    write_groups(table.schema, [table], sink)


def write_groups(schema: pa.Schema, groups: Iterable[pa.Table], sink: BinaryIO) -> None:
    """The same of a table that comes in groups of rows."""
    # Parquet has all our types; Arrow's schema and the statistics of 300 columns would be most of a small
    # segment.
    with pq.ParquetWriter(
        sink, schema, compression=_COMPRESSION, store_schema=False, write_statistics=["number", "time", "stamp"]
    ) as writer:
        for group in groups:
            writer.write_table(group, row_group_size=_ROWS_A_GROUP)


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Groups of rows, so that a finished segment is never in memory at once. Their columns are in one piece: a thousand
    pieces take ten times as long to write, and a batch of one row and 220 columns is 100 kB of small objects."""
    merged: list[pa.Table] = []
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if len(waiting) == _BATCHES_AT_ONCE:
            merged.append(pa.Table.from_batches(waiting).combine_chunks())
            waiting = []
            if sum(table.nbytes for table in merged) >= _BYTES_A_GROUP:
                yield pa.concat_tables(merged).combine_chunks()
                merged = []
    if waiting:
        merged.append(pa.Table.from_batches(waiting))
    if merged:
        yield pa.concat_tables(merged).combine_chunks()


def _convert(directory: Directory, stream: str, parquet: str) -> None:
    temporary = parquet + ".new"
    directory.remove(temporary)
    fd = directory.create(temporary)
    try:
        with open(directory.open(stream), "rb") as source, os.fdopen(fd, "wb", closefd=False) as sink:
            reader = pa.ipc.open_stream(source)
            write_groups(reader.schema, _groups(reader), sink)
        os.fsync(fd)
    except BaseException:
        directory.remove(temporary)
        raise
    finally:
        os.close(fd)
    directory.rename(temporary, parquet)
