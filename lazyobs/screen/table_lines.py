# SPDX-License-Identifier: MIT
"""Lines of the process table: which columns fit, the line of headings, a row. Only rows in sight are formatted."""

from __future__ import annotations

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
from lazyobs.views.local_time import start_time

FLEXIBLE = "comm"  # always shown, last; gets the width that is left
_LEAST_FLEXIBLE, _LEAST_OF_WIDE, _WIDE = 12, 24, 100  # a command line gets more where there is more room
_LEAST_NAME = 8
_WIDTHS = {"pid": 7, "user": 8, "start_time": 8, "cgroup": 28}
_LEFT = ("user", "cgroup", "comm")
_COST = ("savable_bytes", "vmas_private")
_GOOD = ("saved_bytes", "vmas_lazy")


def column_width(name: str) -> int:
    """Wide enough for the heading and for any usual number."""
    least = 5 if name in CENSUS_NAMES and not name.endswith("_bytes") else 6
    return max(len(columns.COLUMNS[name].heading), _WIDTHS.get(name, least))


def fit_columns(names: Sequence[str], width: int, skipped: int = 0) -> list[tuple[str, int]]:
    """[(column, width)] of the columns that fit, in order. The first column and the process name always stay;
    ``skipped`` columns after the first have been scrolled away."""
    others = [name for name in names if name != FLEXIBLE]
    candidates = others[:1] + others[1 + skipped :]
    fitted = []
    least = _LEAST_OF_WIDE if width >= _WIDE else _LEAST_FLEXIBLE
    left = width - least
    for name in candidates:
        if left < column_width(name) + 1:
            break
        fitted.append((name, column_width(name)))
        left -= column_width(name) + 1
    return [*fitted, (FLEXIBLE, max(left + least, 1))]


def heading_line(
    fitted: Sequence[tuple[str, int]], sort: str, descending: bool, arrows: tuple[str, str], palette: Palette
) -> Line:
    """``arrows``: down and up."""
    line: Line = []
    for name, width in fitted:
        title = columns.COLUMNS[name].heading
        if name == sort:
            arrow = arrows[0] if descending else arrows[1]
            title = f"{title}{arrow}" if name in _LEFT else f"{arrow}{title}"
        # The arrow may use the gap before a number's column, so that no heading is cut.
        right = name not in _LEFT
        if right and len(title) > width and line:
            line[-1] = Segment("", None)
            cell = pad(title, width + 1, True)
        else:
            cell = pad(title, width, right)
        line += [
            Segment(cell, palette.heading_sorted if name == sort else palette.heading),
            Segment(" ", palette.heading),
        ]
    return line[:-1]


def row_line(row: Row, fitted: Sequence[tuple[str, int]], palette: Palette, is_chosen: bool) -> Line:
    """The chosen row has the cursor's style throughout."""
    if is_chosen:
        return [Segment(" ".join(_cell(row, name, width)[0] for name, width in fitted), palette.cursor)]
    # Neighbours of one style are one segment: fewer to measure, compare and send.
    line: Line = []
    run, style = "", palette.text
    for name, width in fitted:
        cell, value = _cell(row, name, width)
        cell_style = _style(name, value, palette) if row.process is not None else palette.strong
        if cell_style is not style and run:
            line.append(Segment(run, style))
            run = ""
        style = cell_style
        run += cell + " "
    line.append(Segment(run[:-1], style))
    return line


def _cell(row: Row, column: str, width: int) -> tuple[str, Any]:
    """The text, ``width`` columns wide, and the value."""
    if column == FLEXIBLE:
        return _name_cell(row, width)
    value = row.get(column)
    if row.process is None and value is None:
        return " " * width, 0
    if column == "user":
        return pad(text.printable(value), width), value
    if column == "cgroup":
        return pad(_end_of_path(text.printable(value or text.NULL), width), width), value
    if column == "start_time":
        return number(start_time(value), width), value
    return number(columns.COLUMNS[column].write(value), width), value


def _name_cell(row: Row, width: int) -> tuple[str, str]:
    if row.label is not None:
        return pad(row.label, width), row.label
    name = (
        columns.name_and_args(row.process.comm, row.process.args)
        if row.process is not None
        else text.printable(row.get("comm"))
    )
    # Deep in a tree only the end of the branch is kept: the name matters more.
    prefix = row.prefix[-max(0, width - _LEAST_NAME) :] if len(row.prefix) + _LEAST_NAME > width else row.prefix
    return pad(prefix + name, width), name


def _end_of_path(path: str, width: int) -> str:
    """A path that does not fit loses its beginning: the end says more."""
    return path if len(path) <= width else "…" + path[-(width - 1) :] if width > 1 else cut(path, width)


def _style(column: str, value: Any, palette: Palette) -> Style:
    if not value:
        return palette.dim
    if column in _COST:
        return palette.cost
    return palette.good if column in _GOOD else palette.text
