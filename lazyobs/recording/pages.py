# SPDX-License-Identifier: MIT
"""What a Parquet file inflates to, from the headers of its pages.

A decoder allocates what a page header claims, and the footer may claim something else. So each page header is read
here, before a decoder sees the file: four numbers in Thrift's compact protocol (parquet-format: PageHeader).
"""

from __future__ import annotations

import pyarrow.parquet as pq

from lazyobs.recording import limits

_BOOLEANS, _BYTE, _INTEGERS, _DOUBLE, _BINARY, _STRUCT = (1, 2), 3, (4, 5, 6), 7, 8, 12  # kinds of values
_UNCOMPRESSED, _COMPRESSED, _DICTIONARY = 2, 3, 7  # fields of PageHeader
_MOST_DEPTH = 8


def look_at_pages(raw: memoryview, metadata: pq.FileMetaData) -> int:
    """Walks over all pages of the file ``raw``. Returns the bytes of the largest dictionary page, decompressed.
    ValueError when a page is too large, or lies outside of the file."""
    chunks = metadata.num_row_groups * metadata.num_columns
    _need(limits.too_large("columns and row groups", chunks, limits.CHUNKS))
    _need(limits.too_large("rows", metadata.num_rows, limits.ROWS))
    largest = total = 0
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for column in range(metadata.num_columns):
            chunk = row_group.column(column)
            begin = chunk.data_page_offset
            dictionary = chunk.dictionary_page_offset
            if dictionary is not None and 0 < dictionary < begin:
                begin = dictionary
            size, in_dictionary = _chunk(raw, begin, chunk.total_compressed_size)
            total += size
            largest = max(largest, in_dictionary)
    _need(limits.too_large("data", total, limits.INFLATED))
    return largest


def _need(too_large: str) -> None:
    if too_large:
        raise ValueError(too_large)


def _chunk(raw: memoryview, at: int, length: int) -> tuple[int, int]:
    """(bytes of its pages, bytes of its dictionary page), decompressed, of the column chunk at ``at``."""
    end = at + length
    if at < 4 or length < 0 or end > len(raw):
        raise ValueError("a column that lies outside of the file")
    total = dictionary = 0
    while at < end:
        uncompressed, compressed, is_dictionary, at = _page(raw, at)
        if uncompressed > limits.PAGE:
            _need(limits.too_large("a page", uncompressed, limits.PAGE))
        at += compressed
        if compressed < 0 or uncompressed < 0 or at > end:
            raise ValueError("a page that lies outside of its column")
        total += uncompressed
        if is_dictionary:
            dictionary = uncompressed
    if total > limits.COLUMN:
        _need(limits.too_large("a column", total, limits.COLUMN))
    if dictionary > limits.DICTIONARY:
        _need(limits.too_large("a dictionary", dictionary, limits.DICTIONARY))
    return total, dictionary


def _page(raw: memoryview, at: int) -> tuple[int, int, bool, int]:
    """(bytes decompressed, bytes on disk, whether it is a dictionary, where its data begins) of the page at ``at``."""
    sizes = {_UNCOMPRESSED: -1, _COMPRESSED: -1}
    dictionary, field = False, 0
    try:
        while head := raw[at]:
            at += 1
            kind = head & 15
            if head >> 4:
                field += head >> 4
            else:
                field, at = _zigzag(raw, at)
            dictionary = dictionary or field == _DICTIONARY
            if kind in _INTEGERS:
                value, at = _zigzag(raw, at)
                if field in sizes:
                    sizes[field] = value
            else:
                at = _skip(raw, at, kind, 0)
    except IndexError:
        raise ValueError("a page header that lies outside of the file") from None
    return sizes[_UNCOMPRESSED], sizes[_COMPRESSED], dictionary, at + 1


def _varint(raw: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a page header that is none")


def _zigzag(raw: memoryview, at: int) -> tuple[int, int]:
    value, at = _varint(raw, at)
    return (value >> 1) ^ -(value & 1), at


def _skip(raw: memoryview, at: int, kind: int, depth: int) -> int:
    """Where the value of that kind ends. IndexError or ValueError where there is none."""
    if kind in _BOOLEANS:
        return at
    if kind in _INTEGERS:
        return _varint(raw, at)[1]
    if kind == _BYTE:
        return at + 1
    if kind == _DOUBLE:
        return at + 8
    if kind == _BINARY:
        length, at = _varint(raw, at)
        return at + length
    if kind == _STRUCT and depth < _MOST_DEPTH:
        while head := raw[at]:
            at += 1
            if not head >> 4:
                _, at = _varint(raw, at)
            at = _skip(raw, at, head & 15, depth + 1)
        return at + 1
    raise ValueError("a page header that is none")  # no page header has lists or maps
