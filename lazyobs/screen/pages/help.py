# SPDX-License-Identifier: MIT
"""The help page: keys, and how to read the screen."""

from __future__ import annotations

from rich.segment import Segment

from lazyobs.screen.keys import HELP
from lazyobs.screen.line import Line, cut
from lazyobs.screen.palette import Palette


def lines(width: int, palette: Palette) -> list[Line]:
    left = 28 if width >= 76 else 14
    page: list[Line] = []
    for section, rows in HELP.items():
        page += [[], [Segment(section, palette.strong)]] if page else [[Segment(section, palette.strong)]]
        for key, meaning in rows:
            left_cell = Segment(f"  {cut(key, left):{left}}", palette.key)
            page.append([left_cell, Segment(cut(meaning, max(0, width - left - 2)), palette.text)])
    return page
