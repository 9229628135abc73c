# SPDX-License-Identifier: MIT
"""Parquet files of finished segments: written with a checksum a page and a seal of the whole file, and looked at, page
by page, before they are decoded."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO, NamedTuple

import pyarrow.parquet as pq

from lazyobs.recording import limits, seal
from lazyobs.recording.arrow import pa
from lazyobs.recording.pages import look_at_pages

_COMPRESSION = "zstd"
_ROWS_A_GROUP = 1 << 17
_BYTES_A_GROUP = 4 << 20  # in memory
_BATCHES_AT_ONCE = 32
_ROWS_AT_ONCE = 4096
_TAIL = struct.Struct("<I4s")  # length of the footer, magic


def write_parquet(batches: Iterator[pa.RecordBatch], fd: int) -> None:
    """Writes the rows of a finished segment's table, at least one batch, as a Parquet file. ``fd``: an empty file, open
    to read and write."""
    first = next(batches)
    schema = first.schema
    with os.fdopen(fd, "wb", closefd=False) as sink:
        # Parquet has all our types; Arrow's schema and the statistics of 300 columns would be most of a small
        # segment.
        with pq.ParquetWriter(
            sink,
            schema,
            compression=_COMPRESSION,
            store_schema=False,
            write_statistics=["number", "time", "stamp"],
            write_page_checksum=True,
        ) as writer:
            for rows in _groups(chain([first], batches)):
                writer.write_table(rows, row_group_size=_ROWS_A_GROUP)
            writer.add_key_value_metadata({seal.KEY: seal.UNSEALED_FILE})
    _seal(fd)


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


def _seal(fd: int) -> None:
    raw = os.pread(fd, os.fstat(fd).st_size, 0)
    found = seal.file_seal(raw, _footer(raw))
    if found is None:
        raise ValueError("a Parquet file without a seal to fill in")
    place, _ = found
    os.pwrite(fd, b"%08x" % seal.file_crc(raw, place), place)


def _footer(raw: bytes) -> int:
    """Where the footer begins; the end of the file where there is none."""
    if len(raw) < 4 + _TAIL.size:
        return len(raw)
    length, magic = _TAIL.unpack_from(raw, len(raw) - _TAIL.size)
    begin = len(raw) - _TAIL.size - length
    return begin if magic == b"PAR1" and begin >= 4 else len(raw)


class Opened(NamedTuple):
    """A file that may be decoded. ``rows_at_once``: so many rows stay small in memory."""

    file: pq.ParquetFile
    sealed: bool
    rows_at_once: int


def open_parquet(file: BinaryIO, must_be_sealed: bool) -> Opened:
    """Reads and checks the whole file. ValueError or an error of pyarrow when it is damaged, or larger than the
    limits."""
    size = file.seek(0, os.SEEK_END)
    why = limits.too_large("a file", size, limits.FILE)
    if why:
        raise ValueError(why)
    file.seek(0)
    raw = file.read(size)
    broken = seal.why_broken(raw, _footer(raw))
    if broken is None and must_be_sealed:
        broken = "it has no checksum, or a broken one"
    if broken:
        raise ValueError(broken)
    # pyarrow reads a Python file column by column in a thread of its own, and mostly waits.
    opened = pq.ParquetFile(
        pa.BufferReader(raw),
        thrift_string_size_limit=limits.THRIFT_BYTES,
        thrift_container_size_limit=limits.THRIFT_ELEMENTS,
        page_checksum_verification=True,
    )
    dictionary = look_at_pages(memoryview(raw), opened.metadata)
    at_once = max(1, min(_ROWS_AT_ONCE, limits.DECODED // max(dictionary, 1)))
    return Opened(opened, broken is not None, at_once)
