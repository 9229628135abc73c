# SPDX-License-Identifier: MIT
"""A finished segment becomes Parquet, which takes pyarrow."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from lazyobs.recording.arrow import pa
from lazyobs.recording.directory import Directory
from lazyobs.recording.layout import PARQUET, STREAM, TABLES, SegmentFile
from lazyobs.recording.parquet import write_parquet
from lazyobs.recording.segment import Changed
from lazyobs.recording.stream import StreamReader, TooLarge


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
