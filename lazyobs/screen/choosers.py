# SPDX-License-Identifier: MIT
"""Lists shown in place of the page: the column to sort by, the columns to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.segment import Segment

from lazyobs.screen.line import Line, cut, pad
from lazyobs.screen.palette import Palette
from lazyobs.screen.table_lines import FLEXIBLE
from lazyobs.views import columns

_MOVES = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -10, "pagedown": 10, "home": -9999, "end": 9999}


class Chooser:
    """``names`` of columns with a cursor, moved by ``press``. ``done``: it can be closed."""

    def __init__(
        self, title: str, names: Sequence[str], at: int = 0, about: Mapping[str, columns.Column] = columns.COLUMNS
    ) -> None:
        self.title, self.names, self.at, self._about = title, list(names), at, about
        self.top = 0
        self.done = False

    def press(self, key: str) -> None:
        if key in _MOVES:
            self.at = min(max(self.at + _MOVES[key], 0), len(self.names) - 1)
        elif key in ("escape", "q"):
            self.done = True
        else:
            self.press_other(key)

    def press_other(self, key: str) -> None:
        """Any key that neither moves the cursor nor closes the list."""

    def mark(self, name: str) -> str:
        """What stands before the name."""
        return ""

    def click(self, y: int) -> None:
        if y == 0:  # the title
            self.done = True
        elif 1 <= y < 1 + len(self.names) - self.top:
            self.at = self.top + y - 1
            self.press_other("enter")

    def lines(self, width: int, height: int, palette: Palette) -> list[Line]:
        shown = max(1, height - 1)
        self.top = min(max(self.top, self.at - shown + 1), self.at)
        lines: list[Line] = [[Segment(pad(self.title, width), palette.heading)]]
        for index in range(self.top, min(len(self.names), self.top + shown)):
            name = self.names[index]
            column = self._about[name]
            item = cut(f"{self.mark(name)} {column.heading:22} {column.help}", width)
            lines.append([Segment(pad(item, width), palette.cursor if index == self.at else palette.text)])
        return lines


class SortChooser(Chooser):
    """One column of ``about``."""

    def __init__(
        self,
        current: str,
        sort_by: Callable[[str], None],
        about: Mapping[str, columns.Column] = columns.COLUMNS,
    ) -> None:
        names = list(about)
        super().__init__("Sort by: Enter selects, Esc cancels", names, names.index(current), about)
        self._current, self._sort_by = current, sort_by

    def mark(self, name: str) -> str:
        return "*" if name == self._current else " "

    def press_other(self, key: str) -> None:
        if key in ("enter", "space"):
            self._sort_by(self.names[self.at])
            self.done = True


class ColumnChooser(Chooser):
    """Which columns, and in what order. Those shown come first."""

    def __init__(self, shown: Sequence[str], set_columns: Callable[[list[str]], None]) -> None:
        others = [name for name in columns.COLUMNS if name not in shown]
        super().__init__("Columns: Space shows or hides, + and - move, Esc closes", [*shown, *others])
        self._shown, self._set_columns = set(shown), set_columns

    def mark(self, name: str) -> str:
        return "[x]" if name in self._shown else "[ ]"

    def press_other(self, key: str) -> None:
        name = self.names[self.at]
        if key in ("space", "enter", "f"):
            if key == "f":
                self.done = True
            elif name != FLEXIBLE:  # the process name is always shown
                self._shown ^= {name}
        elif key in ("plus", "minus"):
            to = self.at + (1 if key == "plus" else -1)
            if 0 <= to < len(self.names):
                self.names[self.at], self.names[to] = self.names[to], name
                self.at = to
        else:
            return
        self._set_columns([column for column in self.names if column in self._shown])
