# SPDX-License-Identifier: MIT
"""How large an Arrow message is, and what it inflates to, before any of it is decoded.

pyarrow allocates what a message claims. The claims stand in a flatbuffer (Arrow's Message.fbs) and, of a compressed
buffer, in its first eight bytes; both are read here, in the few steps that they need.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy

_BODY_LENGTH, _HEADER = 3, 2  # fields of the table Message
_BUFFERS, _COMPRESSION = 2, 3  # fields of the table RecordBatch
_NOT_COMPRESSED = -1  # in the place of a length: this buffer is as it is


class _Table:
    """A table of a flatbuffer. ValueError where it leads outside."""

    def __init__(self, raw: bytes, at: int) -> None:
        self._raw, self._at = raw, at
        try:
            self._fields = at - struct.unpack_from("<i", raw, at)[0]
            if self._fields < 0:
                raise ValueError("a flatbuffer that leads outside")
            self._size = struct.unpack_from("<H", raw, self._fields)[0]
        except struct.error:
            raise ValueError("a flatbuffer that leads outside") from None

    def read(self, field: int, code: str) -> int:
        """The number of that field; 0 when it is absent."""
        at = self.place(field)
        return _read(self._raw, at, code) if at else 0

    def place(self, field: int) -> int:
        """Where that field stands; 0 when it is absent."""
        entry = 4 + 2 * field
        if entry + 2 > self._size:
            return 0
        offset = _read(self._raw, self._fields + entry, "<H")
        return self._at + offset if offset else 0

    def table(self, field: int) -> _Table | None:
        at = self.place(field)
        return _Table(self._raw, at + _read(self._raw, at, "<I")) if at else None

    def vector(self, field: int) -> tuple[int, int]:
        """(where its first element stands, number of elements)."""
        at = self.place(field)
        if not at:
            return 0, 0
        begin = at + _read(self._raw, at, "<I")
        return begin + 4, _read(self._raw, begin, "<I")


def _read(raw: bytes, at: int, code: str) -> int:
    if at < 0:
        raise ValueError("a flatbuffer that leads outside")
    try:
        found: int = struct.unpack_from(code, raw, at)[0]
    except struct.error:
        raise ValueError("a flatbuffer that leads outside") from None
    return found


def _message(header: bytes) -> _Table:
    """``header``: the message's prefix, length and metadata."""
    metadata = header[8:]
    return _Table(metadata, _read(metadata, 0, "<I"))


def body_length(header: bytes) -> int:
    """Bytes of the body that follows a message's header. ValueError when the header is none."""
    length = _message(header).read(_BODY_LENGTH, "<q")
    if length < 0:
        raise ValueError(f"a body of {length} bytes")
    return length


def inflated_bytes(header: bytes, body: memoryview) -> int:
    """Bytes that the buffers of a record batch claim to have when they are decompressed. ValueError when the header
    leads outside of the message."""
    batch = _message(header).table(_HEADER)
    if batch is None:
        raise ValueError("a message without a header")
    begin, count = batch.vector(_BUFFERS)
    metadata = header[8:]
    if begin + 16 * count > len(metadata):
        raise ValueError("a flatbuffer that leads outside")
    places: Any = numpy.frombuffer(metadata, "<i8", 2 * count, begin).reshape(-1, 2)
    offsets, lengths = places[:, 0], places[:, 1]
    for part in (offsets, lengths, offsets + lengths):  # the sum cannot overflow: both were looked at before
        if count and not 0 <= part.min() <= part.max() <= len(body):
            raise ValueError("a buffer that lies outside of its message")
    plain = int(lengths.sum())
    if batch.table(_COMPRESSION) is None:
        return plain
    offsets = offsets[lengths >= 8]
    raw: Any = numpy.frombuffer(body, "u1")
    claims: Any = raw[offsets[:, None] + numpy.arange(8)].copy().view("<i8") if len(offsets) else numpy.zeros(0, "i8")
    if (claims < _NOT_COMPRESSED).any():
        raise ValueError("a buffer of less than no bytes")
    claimed: list[int] = claims[claims > 0].tolist()
    return plain + sum(claimed)
