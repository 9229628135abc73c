# SPDX-License-Identifier: MIT
"""Reading a recording. Its contents are not trusted: it may be truncated, damaged, or malicious.

Only plain files with known names are opened, and links are not followed; every batch is validated before it is
used; nothing is ever executed or unpickled (Arrow's Python extension types did that; pyarrow 14.0.1 removed them).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import pyarrow.parquet as pq

from lazyobs.model import Sample
from lazyobs.recording import samples
from lazyobs.recording.arrow import pa
from lazyobs.recording.errors import RecordingError
from lazyobs.recording.layout import (
    DESCRIPTION,
    FORMAT,
    PARQUET,
    STREAM,
    VERSION,
    SegmentFile,
    segment_file,
    why_not_readable,
)
from lazyobs.recording.process_rows import ProcessRows
from lazyobs.recording.storage import Remote, place

_MOST_DESCRIPTION = 1 << 20
_ROWS_AT_ONCE = 4096
_MOST_AT_ONCE = 64 << 20  # bytes of a file; lazyobs writes smaller files
_MOST_THRIFT = 16 << 20  # bytes of a Parquet file's footer
_DAMAGE = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError)


class Recording:
    """A recording opened for reading. ``torn`` names the streams whose last batch is incomplete."""

    def __init__(self, path: str) -> None:
        """RecordingError when it is not a recording, or its format is not supported."""
        self.place = place(path)
        self.path = self.place.path
        try:
            description = self._description()
            self.identity: dict[str, Any] = description["identity"]
            self.interval: float = description["interval"]
            self._files = self._segment_files()
        except BaseException:
            self.close()
            raise
        self.torn: set[str] = set()

    def _description(self) -> dict[str, Any]:
        try:
            with self.place.open(DESCRIPTION) as file:
                raw = file.read(_MOST_DESCRIPTION + 1)
        except FileNotFoundError:
            what = "is empty" if not self.place.names() else f"has no {DESCRIPTION}: lazyobs did not make it"
            raise RecordingError(self.path, what, "name one made by lazyobs record") from None
        except OSError as error:
            raise RecordingError(
                self.path, f"{DESCRIPTION} cannot be read ({error.strerror or error})", "check its permissions"
            ) from None
        try:
            document = json.loads(raw[:_MOST_DESCRIPTION], parse_constant=samples.refuse_constant)
            if document["format"] != FORMAT:
                raise ValueError
            version = document["version"]
            if isinstance(version, int) and version > VERSION:
                raise RecordingError(
                    self.path,
                    f"a later lazyobs made it (format {version}; this one reads {VERSION})",
                    "use that lazyobs",
                )
            if version != VERSION or not isinstance(document["identity"], dict):
                raise ValueError
            if not isinstance(document["interval"], float | int) or not 0 < document["interval"] < 1e6:
                raise ValueError
        except (ValueError, KeyError, TypeError, RecursionError):
            raise RecordingError(
                self.path, f"{DESCRIPTION} is damaged, or not from lazyobs", "name one made by lazyobs record"
            ) from None
        found: dict[str, Any] = document
        return found

    def _segment_files(self) -> dict[int, dict[str, str]]:
        """{segment: {table: form}}; if both forms exist, Parquet is complete and the stream is a leftover."""
        found: dict[int, dict[str, str]] = {}
        for name in self.place.names():
            file = segment_file(name)
            if file is not None:
                forms = found.setdefault(file.number, {})
                if forms.get(file.table) != PARQUET:
                    forms[file.table] = file.form
        return found

    @property
    def segments(self) -> list[int]:
        """Numbers of the segments that still exist, oldest first."""
        return sorted(self._files)

    def batches(
        self, table: str, segment: int, columns: Callable[[list[str]], list[str]] = lambda there: there
    ) -> Iterator[pa.RecordBatch]:
        """Rows of one table in one segment; empty if the segment has no such file. RecordingError when damaged.

        ``columns`` selects among the columns that exist.
        """
        form = self._files[segment].get(table)
        if form is None:
            return
        name = SegmentFile(table, segment, form).name
        try:
            try:
                opened = self.place.open(name)
            except FileNotFoundError:
                if form == PARQUET:
                    raise
                form, name = (
                    PARQUET,
                    SegmentFile(table, segment, PARQUET).name,
                )  # the recorder has finished it meanwhile
                opened = self.place.open(name)
            with opened as file:
                if form == PARQUET:
                    yield from self._parquet(file, table, name, columns)
                else:
                    for batch in self._stream(file, table, name):
                        yield batch.select(columns(batch.schema.names))
        except RecordingError:
            raise
        except _DAMAGE as error:
            raise self.damaged(name, error) from None

    def parquet_files(self, table: str) -> list[tuple[pa.Schema, list[str]]]:
        """(columns, names) of the finished segments' files of that table, oldest first. Consecutive files with the
        same columns form one entry; every entry has the columns that the table requires.

        For an engine that reads the files itself. RecordingError when a file is damaged.
        """
        runs: list[tuple[pa.Schema, list[str]]] = []
        for segment in self.segments:
            if self._files[segment].get(table) != PARQUET:
                continue
            name = SegmentFile(table, segment, PARQUET).name
            try:
                with self.place.open(name) as file:
                    found = _parquet_file(file).schema_arrow
            except _DAMAGE as error:
                raise self.damaged(name, error) from None
            if not runs or not found.equals(runs[-1][0]):
                self._look_at(found, table, name)
                runs.append((found, []))
            runs[-1][1].append(name)
        return runs

    def uri(self, name: str) -> str:
        """The URI of a file of the recording, for an engine that opens it itself."""
        base = self.path if isinstance(self.place, Remote) else "file://" + os.path.abspath(self.path)
        return f"{base.rstrip('/')}/{name}"

    def unfinished(self, table: str) -> list[int]:
        """Segments in which that table is a stream: the last segment, if the recorder still runs or was killed."""
        return [segment for segment in self.segments if self._files[segment].get(table) == STREAM]

    def damaged(self, name: str, error: Exception | str) -> RecordingError:
        """The error for a file ``name`` that lazyobs cannot have written."""
        why = " ".join(str(error).split())[:200] or type(error).__name__
        return RecordingError(self.path, f"{name} is damaged ({why})", "use another copy of it")

    def _parquet(
        self, file: BinaryIO, table: str, name: str, columns: Callable[[list[str]], list[str]]
    ) -> Iterator[pa.RecordBatch]:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        # pyarrow reads a Python file column by column in a thread of its own, and mostly waits.
        reader = _parquet_file(pa.BufferReader(file.read(size)) if size <= _MOST_AT_ONCE else file)
        found = reader.schema_arrow
        self._look_at(found, table, name)
        for batch in reader.iter_batches(_ROWS_AT_ONCE, columns=columns(found.names), use_threads=False):
            batch.validate(full=True)
            yield batch

    def _stream(self, file: BinaryIO, table: str, name: str) -> Iterator[pa.RecordBatch]:
        try:
            reader = pa.ipc.open_stream(file, options=pa.ipc.IpcReadOptions(use_threads=False))
        except (pa.ArrowInvalid, OSError):
            self.torn.add(name)  # killed before the first batch
            return
        self._look_at(reader.schema, table, name)
        whole = file.tell()
        while True:
            try:
                batch = reader.read_next_batch()
                batch.validate(full=True)
            except StopIteration:
                if file.read(1) or file.tell() != whole:
                    self.torn.add(name)
                return
            except _DAMAGE:
                self.torn.add(name)
                return
            whole = file.tell()
            yield batch

    def _look_at(self, found: pa.Schema, table: str, name: str) -> None:
        why = why_not_readable(table, found)
        if why:
            raise self.damaged(name, why)

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """Rows of a small table, over all segments."""
        for segment in self.segments:
            for batch in self.batches(table, segment):
                yield from batch.to_pylist()

    def last_row(self, table: str) -> dict[str, Any]:
        """The last row of a table; {} if it has none."""
        for segment in reversed(self.segments):
            last = None
            for batch in self.batches(table, segment):
                last = batch if batch.num_rows else last
            if last is not None:
                row: dict[str, Any] = last.slice(last.num_rows - 1).to_pylist()[0]
                return row
        return {}

    def events(self) -> Iterator[pa.RecordBatch]:
        """Batches of events, in the order they were read from the ring."""
        for segment in self.segments:
            yield from self.batches("events", segment)

    def samples(self, segments: list[int] | None = None) -> Iterator[Sample]:
        """The samples, each with its processes. RecordingError for a sample that lazyobs cannot have written."""
        for segment in self.segments if segments is None else segments:
            processes = ProcessRows(self.batches("processes", segment))
            for batch in self.batches("samples", segment):
                numbers, documents = batch.column("number").to_pylist(), batch.column("document").to_pylist()
                for number, document in zip(numbers, documents):
                    try:
                        yield samples.read_sample(document, processes.of(number))
                    except RecordingError:
                        raise
                    except _DAMAGE as error:
                        raise self.damaged(f"sample {number}", error) from None

    def close(self) -> None:
        """Closes the directory; garbage collection of the object does the same."""
        self.place.close()


def _parquet_file(file: BinaryIO | pa.NativeFile) -> pq.ParquetFile:
    return pq.ParquetFile(file, thrift_string_size_limit=_MOST_THRIFT, thrift_container_size_limit=1 << 20)
