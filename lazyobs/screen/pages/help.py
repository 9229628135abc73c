# SPDX-License-Identifier: MIT
"""The help page: keys, and how to read the screen."""

from __future__ import annotations

import textwrap

from rich.segment import Segment

from lazyobs.screen.keys import HELP
from lazyobs.screen.line import Line, cut
from lazyobs.screen.palette import Palette


def lines(width: int, palette: Palette) -> list[Line]:
    left = 28 if width >= 100 else 14
    page: list[Line] = []
    for section, rows in HELP.items():
        page += [[], [Segment(section, palette.strong)]] if page else [[Segment(section, palette.strong)]]
        for key, meaning in rows:
            keys = textwrap.wrap(key, left)
            said = textwrap.wrap(meaning, max(12, width - left - 4), break_on_hyphens=False)
            for number in range(max(len(keys), len(said))):
                one = keys[number] if number < len(keys) else ""
                other = said[number] if number < len(said) else ""
                page.append(
                    [
                        Segment(f"  {cut(one, left):{left}}  ", palette.key),
                        Segment(cut(other, max(0, width - left - 4)), palette.text),
                    ]
                )
    return page
