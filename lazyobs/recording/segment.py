# SPDX-License-Identifier: MIT
"""One segment: an Arrow IPC stream per table; each batch goes to the kernel in one write.

If a stream ends in the middle of a batch because its writer was killed, it is read up to the previous batch.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from lazyobs.recording.directory import Directory, write_all
from lazyobs.recording.encoder import END, Columns, Encoder, Packed
from lazyobs.recording.layout import STREAM, SegmentFile


class Changed(OSError):
    """A file is not as the recorder left it: another process has changed or removed it."""


class _Stream:
    """One file. ``bytes`` is the size of its complete messages."""

    def __init__(self, directory: Directory, name: str, encoder: Encoder) -> None:
        self.bytes = 0
        self._name = name
        self._fd = directory.create(name)
        self._encoder = encoder

    def append(self, columns: Columns, rows: int) -> None:
        """OSError when the write fails; the file then ends with the previous batch."""
        self._write(self._encoder.messages(columns, rows))

    def end(self) -> None:
        """Nothing is appended any more: what follows is no rows that are lost."""
        self._write(END)

    def _write(self, raw: bytes) -> None:
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

    def __init__(self, directory: Directory, number: int, encoder: Callable[[str], Encoder]) -> None:
        """``encoder``: a new one for the stream of a table."""
        self.number = number
        self._directory, self._encoder = directory, encoder
        self._streams: dict[str, _Stream] = {}

    @property
    def bytes(self) -> int:
        return sum(stream.bytes for stream in self._streams.values())

    def append(self, table: str, columns: Columns) -> int:
        """Appends rows; returns their number."""
        values = next(iter(columns.values()))
        rows = values.rows if isinstance(values, Packed) else len(values)
        if not rows:
            return 0
        if table in self._streams:
            self._streams[table].append(columns, rows)
        else:
            self._begin(table, columns, rows)
        return int(rows)

    def _begin(self, table: str, columns: Columns, rows: int) -> None:
        """Creates a table's file with its first rows. If they cannot be written, there is no file."""
        name = SegmentFile(table, self.number, STREAM).name
        stream = _Stream(self._directory, name, self._encoder(table))
        try:
            stream.append(columns, rows)
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

    def end(self) -> None:
        """For streams that stay as they are: ends them in order. OSError when the write fails."""
        for stream in self._streams.values():
            stream.end()
            stream.sync()

    def close(self) -> None:
        for stream in self._streams.values():
            stream.close()
        self._streams.clear()
