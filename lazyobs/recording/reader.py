# SPDX-License-Identifier: MIT
"""Reading a recording. Its contents are not trusted: it may be truncated, damaged, or malicious.

Only plain files with known names are opened, and links are not followed; every batch is validated before it is
used; nothing is ever executed or unpickled (Arrow's Python extension types did that; pyarrow 14.0.1 removed them).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from lazyobs.model import Sample
from lazyobs.recording import limits, samples
from lazyobs.recording.arrow import pa
from lazyobs.recording.arrow_schema import why_not_readable
from lazyobs.recording.description import Description, LaterVersion, read_description
from lazyobs.recording.encoder import END
from lazyobs.recording.errors import RecordingError
from lazyobs.recording.layout import (
    DESCRIPTION,
    PARQUET,
    STREAM,
    TABLES,
    VERSION,
    SegmentFile,
    segment_file,
)
from lazyobs.recording.parquet import Opened, open_parquet
from lazyobs.recording.process_rows import ProcessRows
from lazyobs.recording.storage import Remote, place
from lazyobs.recording.stream import Damage, StreamReader, TooLarge
from lazyobs.recording.values import why_not_ours
from lazyobs.unix.stdio import scarce

_DAMAGE = (
    *(pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError, MemoryError),
    TooLarge,
)


class Recording:
    """A recording opened for reading. What its streams have lost is known when their batches were read.

    ``torn`` names the streams whose last batch is incomplete, ``damage`` says what else streams have lost, by name.
    ``checksummed``: its files have checksums; damage in one of an earlier version may not be noticed.
    """

    def __init__(self, path: str) -> None:
        """RecordingError when it is not a recording, or its format is not supported."""
        self.place = place(path)
        self.path = self.place.path
        try:
            description = self._description()
            self.identity: dict[str, Any] = description.identity
            self.interval: float = description.interval
            self.checksummed: bool = description.sealed
            self._files = self._segment_files()
        except BaseException:
            self.close()
            raise
        self.torn: set[str] = set()
        self.damage: dict[str, Damage] = {}

    def _description(self) -> Description:
        try:
            with self.place.open(DESCRIPTION) as file:
                raw = file.read(limits.DESCRIPTION + 1)
        except FileNotFoundError:
            what = "is empty" if not self.place.names() else f"has no {DESCRIPTION}: lazyobs did not make it"
            raise RecordingError(self.path, what, "name one made by lazyobs record") from None
        except OSError as error:
            raise RecordingError(
                self.path, f"{DESCRIPTION} cannot be read ({error.strerror or error})", "check its permissions"
            ) from None
        try:
            return read_description(raw)
        except LaterVersion as error:
            raise RecordingError(
                self.path,
                f"a later lazyobs made it (format {error.version}; this one reads {VERSION})",
                "use that lazyobs",
            ) from None
        except (ValueError, RecursionError):
            raise RecordingError(
                self.path, f"{DESCRIPTION} is damaged, or not from lazyobs", "name one made by lazyobs record"
            ) from None

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

        For an engine that reads the files itself: every byte of them is checked here. RecordingError when a file is
        damaged.
        """
        runs: list[tuple[pa.Schema, list[str]]] = []
        for segment in self.segments:
            if self._files[segment].get(table) != PARQUET:
                continue
            name = SegmentFile(table, segment, PARQUET).name
            try:
                with self.place.open(name) as file:
                    found = self._open_parquet(file).file.schema_arrow.remove_metadata()
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

    def notes(self) -> list[str]:
        """What is missing, as far as was read: a text for what damage has taken, and one if the recording has no end."""
        found = [str(damage) for _, damage in sorted(self.damage.items())]
        if not all(self._has_end(table, segment) for table in TABLES for segment in self.unfinished(table)):
            cut = f"; cut off in {', '.join(sorted(self.torn))}" if self.torn else ""
            found.append(f"has no end: the recorder was killed, the machine died, or it is still recording{cut}")
        return found

    def _has_end(self, table: str, segment: int) -> bool:
        """Whether a stream is one that its recorder has ended, because it had no pyarrow to make Parquet of it."""
        try:
            with self.place.open(SegmentFile(table, segment, STREAM).name) as file:
                file.seek(max(file.seek(0, os.SEEK_END) - len(END), 0))
                return file.read() == END
        except OSError:
            return False

    def unfinished(self, table: str) -> list[int]:
        """Segments in which that table is a stream: the last segment, if the recorder still runs or was killed, and all of
        those of a recorder without pyarrow."""
        return [segment for segment in self.segments if self._files[segment].get(table) == STREAM]

    def damaged(self, name: str, error: Exception | str) -> RecordingError:
        """The error for a file ``name`` that lazyobs cannot have written, or cannot read for want of memory or files."""
        if isinstance(error, Exception) and (short := scarce(error)):
            return RecordingError(
                self.path, f"{name} cannot be read ({short})", "look at ulimit -a, or end other programs"
            )
        why = " ".join(str(error).split())[:200] or type(error).__name__
        return RecordingError(self.path, f"{name} is damaged ({why})", "use another copy of it")

    def _parquet(
        self, file: BinaryIO, table: str, name: str, columns: Callable[[list[str]], list[str]]
    ) -> Iterator[pa.RecordBatch]:
        opened = self._open_parquet(file)
        found = opened.file.schema_arrow
        self._look_at(found, table, name)
        wanted = columns(found.names)
        for batch in opened.file.iter_batches(opened.rows_at_once, columns=wanted, use_threads=False):
            batch.validate(full=True)
            self._look_at_values(batch, table, name)
            yield batch.replace_schema_metadata(None)

    def _open_parquet(self, file: BinaryIO) -> Opened:
        return open_parquet(file, self.checksummed)

    def _stream(self, file: BinaryIO, table: str, name: str) -> Iterator[pa.RecordBatch]:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if why := limits.too_large("a file", size, limits.FILE):
            raise self.damaged(name, why)
        stream = StreamReader(name, file.read(size), self.checksummed)
        looked_at = False
        try:
            for batch in stream.batches():
                if not looked_at:
                    self._look_at(batch.schema, table, name)
                    looked_at = True
                self._look_at_values(batch, table, name)
                yield batch
                self._note(name, stream)
        finally:
            self._note(name, stream)

    def _note(self, name: str, stream: StreamReader) -> None:
        if stream.torn:
            self.torn.add(name)
        if stream.damage is not None:
            self.damage[name] = stream.damage

    def _look_at(self, found: pa.Schema, table: str, name: str) -> None:
        why = why_not_readable(table, found)
        if why:
            raise self.damaged(name, why)

    def _look_at_values(self, batch: pa.RecordBatch, table: str, name: str) -> None:
        why = why_not_ours(table, batch)
        if why:
            raise self.damaged(name, why)

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """Rows of a small table, over all segments."""
        for segment in self.segments:
            for batch in self.batches(table, segment):
                yield from batch.to_pylist()

    def first_row(self, table: str) -> dict[str, Any]:
        """The first row of a table; {} if it has none."""
        for segment in self.segments:
            for batch in self.batches(table, segment):
                if batch.num_rows:
                    row: dict[str, Any] = batch.slice(0, 1).to_pylist()[0]
                    return row
        return {}

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
                for number, document, count in sample_columns(batch):
                    try:
                        sample = samples.read_sample(document, processes.of(number))
                        self.note_missing(segment, count, sample)
                        yield sample
                    except RecordingError:
                        raise
                    except _DAMAGE as error:
                        raise self.damaged(f"sample {number}", error) from None

    def note_missing(self, segment: int, count: int | None, sample: Sample) -> None:
        """Notes the processes that a sample had, and that its segment no longer has. ``count``: how many it had."""
        missing = (count or 0) - len(sample.processes)
        name = SegmentFile("processes", segment, self._files[segment].get("processes", STREAM)).name
        if missing > 0 and name not in self.torn and name not in self.damage:
            self.damage[name] = Damage(name, missing, certain=False)

    def close(self) -> None:
        """Closes the directory; garbage collection of the object does the same."""
        self.place.close()


def sample_columns(batch: pa.RecordBatch) -> Iterator[tuple[Any, Any, Any]]:
    """(number, document, number of processes) of each row; the last is None in recordings of earlier versions."""
    counts = batch.column("processes") if "processes" in batch.schema.names else pa.nulls(batch.num_rows)
    yield from zip(*(column.to_pylist() for column in (batch.column("number"), batch.column("document"), counts)))
