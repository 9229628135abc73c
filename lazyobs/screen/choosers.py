# SPDX-License-Identifier: MIT
"""Lists to choose from, over the page: the column to sort by, the columns to show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.segment import Segment

from lazyobs.screen.line import Line, cut, pad
from lazyobs.screen.palette import Palette
from lazyobs.screen.table import FLEXIBLE
from lazyobs.views import columns


class Chooser:
    """``names`` of columns with a cursor. Keys are handled by ``key``; ``done`` says that it is over."""

    def __init__(self, title: str, names: Sequence[str], at: int = 0) -> None:
        self.title, self.names, self.at = title, list(names), at
        self.top = 0
        self.done = False

    def key(self, key: str) -> None:
        moves = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -10, "pagedown": 10, "home": -9999, "end": 9999}
        if key in moves:
            self.at = min(max(self.at + moves[key], 0), len(self.names) - 1)
        elif key in ("escape", "q"):
            self.done = True
        else:
            self.other_key(key)

    def other_key(self, key: str) -> None:
        """What the keys do that do not move the cursor."""

    def mark(self, name: str) -> str:
        """What stands before the name."""
        return ""

    def click(self, y: int) -> None:
        if 1 <= y < 1 + len(self.names) - self.top:
            self.at = self.top + y - 1
            self.other_key("enter")

    def lines(self, room: int, height: int, palette: Palette) -> list[Line]:
        shown = max(1, height - 1)
        self.top = min(max(self.top, self.at - shown + 1), self.at)
        found: list[Line] = [[Segment(pad(self.title, room), palette.heading)]]
        for index in range(self.top, min(len(self.names), self.top + shown)):
            name = self.names[index]
            column = columns.COLUMNS[name]
            told = cut(f"{self.mark(name)} {column.heading:22} {column.help}", room)
            found.append([Segment(pad(told, room), palette.cursor if index == self.at else palette.text)])
        return found


class SortChooser(Chooser):
    """One column."""

    def __init__(self, current: str, chosen: Callable[[str], None]) -> None:
        names = list(columns.COLUMNS)
        super().__init__("Sort by: Enter chooses, Esc leaves it", names, names.index(current))
        self._current, self._chosen = current, chosen

    def mark(self, name: str) -> str:
        return "*" if name == self._current else " "

    def other_key(self, key: str) -> None:
        if key in ("enter", "space"):
            self._chosen(self.names[self.at])
            self.done = True


class ColumnChooser(Chooser):
    """Which columns, and in what order. Those shown come first."""

    def __init__(self, shown: Sequence[str], changed: Callable[[list[str]], None]) -> None:
        others = [name for name in columns.COLUMNS if name not in shown]
        super().__init__("Columns: Space shows or hides, + and - move, Esc ends", [*shown, *others])
        self._shown, self._changed = set(shown), changed

    def mark(self, name: str) -> str:
        return "[x]" if name in self._shown else "[ ]"

    def other_key(self, key: str) -> None:
        name = self.names[self.at]
        if key in ("space", "enter", "f"):
            if key == "f":
                self.done = True
            elif name != FLEXIBLE:  # the name is always there
                self._shown ^= {name}
        elif key in ("plus", "minus"):
            to = self.at + (1 if key == "plus" else -1)
            if 0 <= to < len(self.names):
                self.names[self.at], self.names[to] = self.names[to], name
                self.at = to
        else:
            return
        self._changed([one for one in self.names if one in self._shown])
