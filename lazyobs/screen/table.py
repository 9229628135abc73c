# SPDX-License-Identifier: MIT
"""The process table on the screen: which columns fit, and a row as a line. Only rows in sight are ever written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rich.segment import Segment
from rich.style import Style

from lazyobs import text
from lazyobs.model import CENSUS_NAMES
from lazyobs.screen.line import Line, cut, number, pad
from lazyobs.screen.palette import Palette
from lazyobs.screen.rows import Row
from lazyobs.views import columns

FLEXIBLE = "comm"  # takes what is left, and is always there
_LEAST_FLEXIBLE = 12
_LEAST_NAME = 8
_WIDTHS = {"pid": 7, "user": 8, "start_time": 8, "cgroup": 28}
_LEFT = ("user", "cgroup", "comm")


def width(name: str) -> int:
    """Of a column on the screen; numbers have room for what they can be."""
    least = 5 if name in CENSUS_NAMES and not name.endswith("_bytes") else 6
    return max(len(heading(name)), _WIDTHS.get(name, least))


def heading(name: str) -> str:
    return columns.COLUMNS[name].heading


def fitting(names: Sequence[str], room: int, first: int = 0) -> list[tuple[str, int]]:
    """[(column, width)] of those that fit: the first one and the name stay, ``first`` others are left out before
    the rest; who comes last goes first."""
    others = [name for name in names if name != FLEXIBLE]
    kept = others[:1] + others[1 + first :]
    found = []
    left = room - _LEAST_FLEXIBLE
    for name in kept:
        if left < width(name) + 1:
            break
        found.append((name, width(name)))
        left -= width(name) + 1
    return [*found, (FLEXIBLE, max(left + _LEAST_FLEXIBLE, 1))]


def head(
    fitted: Sequence[tuple[str, int]], sort: str, descending: bool, arrows: tuple[str, str], palette: Palette
) -> Line:
    """The line of headings; ``arrows``: down and up."""
    line: Line = []
    for name, room in fitted:
        title = heading(name)
        if name == sort:
            arrow = arrows[0] if descending else arrows[1]
            title = f"{title}{arrow}" if name in _LEFT else f"{arrow}{title}"
        # The arrow may use the gap before a number's column, so that no heading is cut.
        right = name not in _LEFT
        if right and len(title) > room and line:
            line[-1] = Segment("", None)
            cell = pad(title, room + 1, True)
        else:
            cell = pad(title, room, right)
        line += [
            Segment(cell, palette.heading_sorted if name == sort else palette.heading),
            Segment(" ", palette.heading),
        ]
    return line[:-1]


def line(row: Row, fitted: Sequence[tuple[str, int]], palette: Palette, chosen: bool) -> Line:
    """A row. The chosen one has one style, the cursor's; names have been made printable."""
    if chosen:
        return [Segment(" ".join(_cell(row, name, room)[0] for name, room in fitted), palette.cursor)]
    # Neighbours of one style are one segment: fewer to measure, compare and send.
    found: Line = []
    run, style = "", palette.text
    for name, room in fitted:
        cell, value = _cell(row, name, room)
        own = _style(name, value, palette) if row.process is not None else palette.strong
        if own is not style and run:
            found.append(Segment(run, style))
            run = ""
        style = own
        run += cell + " "
    found.append(Segment(run[:-1], style))
    return found


def _cell(row: Row, column: str, room: int) -> tuple[str, Any]:
    if column == FLEXIBLE:
        if row.label is not None:
            return pad(row.label, room), row.label
        name = text.printable(row.get("comm"))
        # Deep in a tree the end of the branch is kept: the name matters more.
        prefix = row.prefix[-max(0, room - _LEAST_NAME) :] if len(row.prefix) + _LEAST_NAME > room else row.prefix
        return pad(prefix + name, room), name
    value = row.get(column)
    if row.process is None and value is None:
        return " " * room, 0
    if column in ("user", "cgroup"):
        return pad(_end(text.printable(value or text.NULL), room) if column == "cgroup" else text.printable(value), room), value  # fmt: skip
    if column == "start_time":
        return number(_clock(value), room), value
    return number(columns.COLUMNS[column].write(value), room), value


def _end(path: str, room: int) -> str:
    """The end of a path says more than its beginning."""
    return path if len(path) <= room else "…" + path[-(room - 1) :] if room > 1 else cut(path, room)


def _clock(seconds: float) -> str:
    try:
        begun = time.localtime(seconds)
    except (OverflowError, ValueError, OSError):
        return text.NULL
    return time.strftime("%H:%M:%S" if time.time() - seconds < 86400 else "%d%b%H:%M"[:8], begun)


def _style(name: str, value: Any, palette: Palette) -> Style:
    if not value:
        return palette.dim
    if name in ("savable_bytes", "vmas_private"):
        return palette.cost
    if name in ("saved_bytes", "vmas_lazy"):
        return palette.good
    return palette.text
