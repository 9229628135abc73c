# SPDX-License-Identifier: MIT
"""Lines of a letter for a mailing list: 72 columns of ASCII."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from lazyobs.text import printable

COLUMNS = 72


def in_ascii(value: object) -> str:
    """Printable; what is no ASCII becomes "?", because how wide it is depends on the reader's screen."""
    return printable(str(value)).encode("ascii", "replace").decode("ascii")


def wrapped(line: str, first: str = "", rest: str | None = None) -> list[str]:
    """``first``: what stands before the first line; ``rest``: before the others, as before the first if it is None."""
    return textwrap.wrap(
        line, COLUMNS, initial_indent=first, subsequent_indent=first if rest is None else rest, break_on_hyphens=False
    )


def set_rows(rows: Sequence[Sequence[str]], widths: Sequence[int], right: Sequence[bool], gap: int) -> list[str]:
    """Rows in columns of these widths, in which words are wrapped; ``right``: whether a column is aligned there."""
    lines = []
    for row in rows:
        cells = [textwrap.wrap(cell, width, break_on_hyphens=False) or [""] for cell, width in zip(row, widths)]
        for number in range(max(map(len, cells))):
            parts = [cell[number] if number < len(cell) else "" for cell in cells]
            placed = [
                part.rjust(width) if aligned else part.ljust(width)
                for part, width, aligned in zip(parts, widths, right)
            ]
            lines.append((" " * gap).join(placed).rstrip())
    return lines
