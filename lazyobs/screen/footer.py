# SPDX-License-Identifier: MIT
"""The last line: keys and what they do. A click on one presses it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment

from lazyobs.screen.line import Line
from lazyobs.screen.palette import Palette

_GAP = 2  # columns between two keys
_PRESSED = {"Enter": ("enter", None), "Esc": ("escape", None), "Space": ("space", " ")}


class Footer:
    """``line`` draws it, and notes what is where. ``shown``: the last line of the screen is one."""

    def __init__(self) -> None:
        self.shown = False
        self._keys: list[tuple[str, int, int]] = []  # label, first column, column behind the last

    def line(self, keys: Sequence[tuple[str, str]], width: int, palette: Palette) -> Line:
        """``q quit  h help ...``, as many as fit."""
        line: Line = []
        self.shown, self._keys, at = True, [], 0
        for label, action in keys:
            cell = len(label) + 1 + len(action)
            begin = at + (_GAP if line else 0)
            if begin + cell > width:
                break
            line += [
                *([Segment(" " * _GAP)] if line else []),
                Segment(label, palette.key),
                Segment(f" {action}", palette.dim),
            ]
            at = begin + cell
            self._keys.append((label, begin, at))
        return line

    def key_at(self, x: int) -> tuple[str, str | None] | None:
        """The key there as View.press() takes it; of two (``[ ]``) the nearer one. None where there is none, or where one
        click cannot say which (``1-7``)."""
        for label, begin, end in self._keys:
            if begin <= x < end:
                if label in _PRESSED:
                    return _PRESSED[label]
                if label[0].isdigit():
                    return None
                character = label[0] if x < begin + len(label) / 2 else label[-1]
                return character, character
        return None
