# SPDX-License-Identifier: MIT
"""Tables of a live view: from one sample to the next, columns stay where they are.

tabulate lays out one table at a time, and takes a fifth of the CPU time of a start to import.
"""

from __future__ import annotations

from collections.abc import Sequence

from lazyobs.text import printable, width


class LiveTables:
    """The tables of a view, one sample after another. A column never gets narrower."""

    def __init__(self) -> None:
        self._widths: dict[tuple[str, ...], list[int]] = {}

    def table(self, rows: Sequence[Sequence[object]], headings: Sequence[str], left: int = 0) -> str:
        """Columns two blanks apart; the first ``left`` columns and the last column are left-aligned. Words may come
        from anywhere: each cell is made printable. Tables with the same headings have the same columns."""
        lines = [list(headings), *([printable(str(cell)).strip() for cell in row] for row in rows)]
        widths = self._widths.setdefault(tuple(headings), [0] * len(headings))
        widths[:] = [max(kept, *map(width, column)) for kept, column in zip(widths, zip(*lines))]
        last = len(headings) - 1
        return "\n".join(
            "  ".join(
                _set(cell, room, index < left or index == last) for index, (cell, room) in enumerate(zip(line, widths))
            ).rstrip()
            for line in lines
        )


def _set(cell: str, room: int, to_the_left: bool) -> str:
    """The cell with blanks up to ``room`` terminal columns."""
    blanks = " " * (room - width(cell))
    return cell + blanks if to_the_left else blanks + cell
