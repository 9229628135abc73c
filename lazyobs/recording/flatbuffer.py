# SPDX-License-Identifier: MIT
"""Flatbuffers, written: as much of the format as the headers of Arrow's messages need.

A table is written before what it refers to, so every reference leads forward, as the format demands; the table's list
of fields stands right before it (https://flatbuffers.dev/internals).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Union


@dataclass(frozen=True)
class Number:
    """A scalar; ``code`` is a letter of the struct module."""

    code: str
    value: int


@dataclass(frozen=True)
class Structs:
    """A vector of structs of 64-bit numbers, ``numbers`` in each."""

    numbers: int
    values: Sequence[int]


@dataclass(frozen=True)
class Tables:
    """A vector of tables."""

    tables: Sequence[Table]


@dataclass(frozen=True)
class Table:
    """By the number of the field; None: it is absent."""

    fields: Sequence[Field]


Child = Union[Table, Tables, Structs, str]
Field = Union[Number, Child, None]


def written(root: Table) -> bytes:
    """The flatbuffer with that root, padded to 8 bytes."""
    out = bytearray(4)
    struct.pack_into("<I", out, 0, _put_table(out, root))
    _pad(out, 8)
    return bytes(out)


def _pad(out: bytearray, alignment: int, beyond: int = 0) -> None:
    """So that what stands ``beyond`` bytes further is aligned."""
    out += bytes(-(len(out) + beyond) % alignment)


def _put(out: bytearray, child: Child) -> int:
    """Where it stands."""
    if isinstance(child, Table):
        return _put_table(out, child)
    if isinstance(child, Tables):
        return _put_tables(out, child.tables)
    if isinstance(child, Structs):
        _pad(out, 8, 4)
        at = len(out)
        out += struct.pack(f"<I{len(child.values)}q", len(child.values) // child.numbers, *child.values)
        return at
    _pad(out, 4)
    at, raw = len(out), child.encode()
    out += struct.pack("<I", len(raw)) + raw + b"\0"
    return at


def _put_tables(out: bytearray, tables: Sequence[Table]) -> int:
    _pad(out, 4)
    at = len(out)
    out += struct.pack("<I", len(tables)) + bytes(4 * len(tables))
    for number, table in enumerate(tables):
        _refer(out, at + 4 + 4 * number, _put_table(out, table))
    return at


def _put_table(out: bytearray, table: Table) -> int:
    places, size = _places(table.fields)
    width = 4 + 2 * len(table.fields)
    _pad(out, 8, width)
    at = len(out) + width
    out += struct.pack(f"<HH{len(places)}H", width, size, *places)
    out += struct.pack("<i", width) + bytes(size - 4)
    for place, field in zip(places, table.fields):
        if isinstance(field, Number):
            struct.pack_into("<" + field.code, out, at + place, field.value)
    for place, field in zip(places, table.fields):
        if field is not None and not isinstance(field, Number):
            _refer(out, at + place, _put(out, field))
    return at


def _places(fields: Sequence[Field]) -> tuple[list[int], int]:
    """(where each field stands in its table, 0 for absent ones; bytes of the table). The table is aligned to 8 bytes."""
    places, end = [0] * len(fields), 4
    sizes = [struct.calcsize("<" + field.code) if isinstance(field, Number) else 4 for field in fields]
    for number in sorted(range(len(fields)), key=lambda number: -sizes[number]):
        if fields[number] is not None:
            end += -end % sizes[number]
            places[number] = end
            end += sizes[number]
    return places, end


def _refer(out: bytearray, place: int, target: int) -> None:
    struct.pack_into("<I", out, place, target - place)
