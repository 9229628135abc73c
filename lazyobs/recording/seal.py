# SPDX-License-Identifier: MIT
"""Seals: checksums inside the files of a recording, so that damage is told from data and from a torn end.

A seal is text of a fixed length in the metadata that each format has: of an Arrow message, of a Parquet footer, and a
key of recording.json. It is written as zeros, and filled in when the other bytes are known. The checksum is CRC-32
(zlib.crc32) of all bytes with zeros in its own place.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import NamedTuple

KEY = "lazyobs.seal"  # in the metadata of Arrow and Parquet
_ZEROS = b"0" * 8

# Of a message: checksums of its header and its body, number of the message, rows before it, its rows, bytes of its
# header and of all of it; hexadecimal.
_WIDTHS = (8, 8, 8, 16, 8, 8, 8)
_MESSAGE = re.compile(b"lazyobs-seal" + b"".join(b":([0-9a-f]{%d})" % width for width in _WIDTHS))
UNSEALED_MESSAGE = "lazyobs-seal" + "".join(":" + "0" * width for width in _WIDTHS)

_FILE = re.compile(rb"lazyobs-crc32:([0-9a-f]{8})")
UNSEALED_FILE = "lazyobs-crc32:00000000"

PREFIX = b"\xff\xff\xff\xff"  # begins every Arrow message; the length of its metadata follows (int32)
_LENGTH = struct.Struct("<4si")


class MessageSeal(NamedTuple):
    """What the header of a message says about it. ``rows_before`` counts the rows of earlier messages of the stream;
    ``header`` and ``length`` are bytes."""

    body_crc: int
    number: int
    rows_before: int
    rows: int
    header: int
    length: int


def header_length(raw: bytes | bytearray | memoryview, at: int = 0) -> int:
    """Bytes of the header of the Arrow message that begins at ``at``; 0 if none begins there."""
    if len(raw) - at < _LENGTH.size:
        return 0
    prefix, length = _LENGTH.unpack_from(raw, at)
    return _LENGTH.size + length if prefix == PREFIX and length > 0 else 0


def seal_message(message: bytearray, number: int, rows_before: int, rows: int) -> None:
    """Fills in the seal of a whole Arrow message that was written with UNSEALED_MESSAGE in its metadata."""
    header = header_length(message)
    found = _MESSAGE.search(message, 0, header)
    if found is None:
        raise ValueError("a message without a seal to fill in")
    body = zlib.crc32(memoryview(message)[header:])
    values = (body, number, rows_before, rows, header, len(message))
    _fill(message, found, 2, values)
    _fill(message, found, 1, (zlib.crc32(memoryview(message)[:header]),))


def _fill(message: bytearray, found: re.Match[bytes], first: int, values: tuple[int, ...]) -> None:
    for group, value in enumerate(values, first):
        message[slice(*found.span(group))] = b"%0*x" % (_WIDTHS[group - 1], value)


def read_message_seal(header: bytes) -> MessageSeal | None:
    """The seal of a message's header; None when it has none, or the header is damaged."""
    found = _MESSAGE.search(header)
    if found is None:
        return None
    crc, *values = (int(text, 16) for text in found.groups())
    seal = MessageSeal(*values)
    begin, end = found.span(1)
    intact = zlib.crc32(header[end:], zlib.crc32(_ZEROS, zlib.crc32(header[:begin]))) == crc
    return seal if intact and seal.header == len(header) <= seal.length else None


def seals_in(raw: bytes | memoryview) -> list[int]:
    """Where seals of messages begin, intact or not."""
    return [found.start() for found in _MESSAGE.finditer(raw)]


def headers_claimed(raw: bytes | memoryview) -> list[int]:
    """The lengths of headers that seals in ``raw`` state, intact or not."""
    return [int(found[6], 16) for found in _MESSAGE.finditer(raw)]


def file_seal(raw: bytes | memoryview, begin: int = 0) -> tuple[int, int] | None:
    """(where the checksum stands, the checksum) of the first seal from ``begin`` on; None without one."""
    found = _FILE.search(raw, begin)
    return (found.start(1), int(found[1], 16)) if found else None


def file_crc(raw: bytes | memoryview, place: int) -> int:
    """The checksum of a whole file whose checksum stands at ``place``."""
    view = memoryview(raw)
    return zlib.crc32(view[place + 8 :], zlib.crc32(_ZEROS, zlib.crc32(view[:place])))


def why_broken(raw: bytes | memoryview, begin: int = 0) -> str | None:
    """Why a file's seal does not hold; "" if it holds, None if there is no seal."""
    found = file_seal(raw, begin)
    if found is None:
        return None
    place, crc = found
    return "" if file_crc(raw, place) == crc else "its bytes do not match its checksum"


def seal_text(text: str) -> str:
    """Fills in the first UNSEALED_FILE of a text."""
    raw = text.encode()
    place = raw.index(UNSEALED_FILE.encode()) + len(UNSEALED_FILE) - 8
    return f"{raw[:place].decode()}{file_crc(raw, place):08x}{raw[place + 8 :].decode()}"
