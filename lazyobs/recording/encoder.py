# SPDX-License-Identifier: MIT
"""Rows to a stream: Arrow's IPC format (https://arrow.apache.org/docs/format/Columnar.html), in the few forms that
recordings have.

pyarrow writes the same. It takes twice the time for a few rows of many columns, which is what a sample is, and a host
that only records does without it (finish.py).
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import lz4.frame

from lazyobs.recording import seal
from lazyobs.recording.flatbuffer import Field, Number, Structs, Table, Tables, written
from lazyobs.recording.layout import BOOL, TEXT, Column, Kind

# By name: a list of Python values, or Packed. A column that is left out is null.
Columns = Mapping[str, Any]
END = b"\xff\xff\xff\xff" + bytes(4)  # what ends a stream of Arrow's that was closed

_V5 = 4  # MetadataVersion
_SCHEMA, _RECORD_BATCH = 1, 3  # MessageHeader
_INT, _FLOATING_POINT, _UTF8, _BOOL, _FIXED_SIZE_BINARY = 2, 3, 5, 6, 15  # Type
_DOUBLE = 2  # Precision
_LZ4_FRAME = 0  # CompressionType
_ENDIANNESS = int(sys.byteorder == "big")
# Kind of a column: type code of the array module.
_CODES: dict[Kind, str] = {"int64": "q", "float64": "d", "uint64": "Q", "uint32": "I", "uint16": "H", "uint8": "B"}
_SMALL = 64  # bytes, which compression does not make less


class Packed(NamedTuple):
    """Values of a fixed size as they lie in memory, none of them null."""

    raw: bytes
    rows: int


class _Array(NamedTuple):
    """A column's nulls and buffers, as Arrow lays them out."""

    nulls: int
    buffers: tuple[bytes, ...]


class Encoder:
    """Of one stream."""

    def __init__(self, columns: Sequence[Column], compression: str | None) -> None:
        """``compression``: None or "lz4"."""
        self._columns, self._compresses = columns, compression is not None
        self._number = self._rows = 0
        self._before: dict[str, tuple[Sequence[Any], _Array]] = {}  # of the last rows, by column

    def messages(self, columns: Columns, rows: int) -> bytes:
        """The bytes to append to the file: the rows, before the first ones also the schema."""
        begin = b"" if self._number else self._sealed(_header(_SCHEMA, _schema(self._columns), 0), b"", 0)
        arrays = [self._array(column, columns.get(column.name, [None] * rows)) for column in self._columns]
        places: list[int] = []
        body = bytearray()
        for found in arrays:
            for buffer in found.buffers:
                places += (len(body), len(buffer))
                body += buffer + bytes(-len(buffer) % 8)
        nodes = [number for found in arrays for number in (rows, found.nulls)]
        codec = Table([Number("b", _LZ4_FRAME), Number("b", 0)]) if self._compresses else None
        batch = Table([Number("q", rows), Structs(2, nodes), Structs(2, places), codec])
        return begin + self._sealed(_header(_RECORD_BATCH, batch, len(body)), bytes(body), rows)

    def _sealed(self, header: bytes, body: bytes, rows: int) -> bytes:
        message = bytearray(seal.PREFIX + struct.pack("<i", len(header)) + header + body)
        seal.seal_message(message, self._number, self._rows, rows)
        self._number += 1
        self._rows += rows
        return bytes(message)

    def _array(self, column: Column, values: Any) -> _Array:
        """A column. Lists are seldom others than those of the rows before."""
        if isinstance(values, Packed):
            return _Array(0, (b"", self._buffer(values.raw)))
        before = self._before.get(column.name)
        if before is not None and before[0] == values:
            return before[1]
        nulls = sum(value is None for value in values)
        validity = _bits([value is not None for value in values]) if nulls else b""
        made = _Array(nulls, tuple(self._buffer(raw) for raw in (validity, *_buffers(column.kind, values))))
        self._before[column.name] = values, made
        return made

    def _buffer(self, raw: bytes) -> bytes:
        """A buffer as it stands in the body: compressed ones begin with their size, or with -1 where they are plain."""
        if not self._compresses or not raw:
            return raw
        smaller = lz4.frame.compress(raw) if len(raw) > _SMALL else raw
        if len(smaller) < len(raw):
            return struct.pack("<q", len(raw)) + smaller
        return struct.pack("<q", -1) + raw


def _header(kind: int, header: Table, body: int) -> bytes:
    """A Message, with room for its seal."""
    sealed = Tables([Table([seal.KEY, seal.UNSEALED_MESSAGE])])
    return written(Table([Number("h", _V5), Number("B", kind), header, Number("q", body), sealed]))


def _schema(columns: Sequence[Column]) -> Table:
    return Table([Number("h", _ENDIANNESS), Tables([_field(column) for column in columns]), None])


def _field(column: Column) -> Table:
    kind, parameters = _type(column.kind)
    return Table([column.name, Number("B", 1), Number("B", kind), Table(parameters), None, Tables([])])


def _type(kind: Kind) -> tuple[int, list[Field]]:
    """(its number in the union Type, fields of its table)."""
    if isinstance(kind, int):
        return _FIXED_SIZE_BINARY, [Number("i", kind)]
    if kind == TEXT:
        return _UTF8, []
    if kind == BOOL:
        return _BOOL, []
    if _CODES[kind] == "d":
        return _FLOATING_POINT, [Number("h", _DOUBLE)]
    return _INT, [Number("i", 8 * array(_CODES[kind]).itemsize), Number("B", int(not kind.startswith("u")))]


def _buffers(kind: Kind, values: Sequence[Any]) -> tuple[bytes, ...]:
    """Those of the values, without their validity."""
    if isinstance(kind, int):
        return (b"".join((value or b"").ljust(kind, b"\0") for value in values),)
    if kind == BOOL:
        return (_bits(values),)
    if kind == TEXT:
        texts = [(value or "").encode() for value in values]
        ends = array("i", [0])
        for text in texts:
            ends.append(ends[-1] + len(text))
        return ends.tobytes(), b"".join(texts)
    try:
        return (array(_CODES[kind], values).tobytes(),)
    except TypeError:  # None among them
        return (array(_CODES[kind], [0 if value is None else value for value in values]).tobytes(),)


def _bits(flags: Sequence[Any]) -> bytes:
    """A bit each, the lowest first."""
    out = bytearray((len(flags) + 7) // 8)
    for place, flag in enumerate(flags):
        if flag:
            out[place >> 3] |= 1 << (place & 7)
    return bytes(out)
