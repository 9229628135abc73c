# SPDX-License-Identifier: MIT
"""The time line: what can be stepped through, as the last line but one shows it, and the clock that stands on it."""

from __future__ import annotations

from dataclasses import dataclass

from rich.segment import Segment

from lazyobs.screen import pages
from lazyobs.screen.line import Line
from lazyobs.screen.palette import Glyphs, Palette

_TIME = 8  # columns of 15:40:02


@dataclass(frozen=True)
class Timeline:
    """The first and last moment (unix seconds), how many there are, which is shown."""

    first: float
    last: float
    position: int
    count: int

    def line(self, width: int, palette: Palette, glyphs: Glyphs) -> Line:
        room = _room(width)
        mark = round(self.position * (room - 1) / (self.count - 1)) if self.count > 1 else 0
        return [
            Segment(pages.clock(self.first) + " ", palette.dim), Segment(glyphs.rule * mark, palette.spark),
            Segment(glyphs.mark, palette.key), Segment(glyphs.rule * (room - mark - 1), palette.dim),
            Segment(" " + pages.clock(self.last), palette.dim),
        ]  # fmt: skip

    def position_at(self, x: int, width: int) -> int:
        """The moment that a column of ``line`` stands for; the ends stand for all beyond them."""
        room = _room(width)
        x = min(max(x - _TIME - 1, 0), room - 1)
        return round(x * (self.count - 1) / max(1, room - 1))


def _room(width: int) -> int:
    return max(1, width - 2 * (_TIME + 1))


class Clock:
    """Time, as the view may change it; whoever runs the view says what it does."""

    recorded = False
    frozen = False
    delay = 1.0

    def timeline(self) -> Timeline | None:
        """None before the first sample."""

    def step(self, samples: int) -> None:
        """Back or forward, and stays there."""

    def seek(self, position: int) -> None:
        """To a position on the time line, and stays there."""

    def freeze(self) -> None:
        """Stays, or goes on."""

    def set_delay(self, seconds: float) -> None:
        """Seconds between samples."""

    def hurry(self) -> None:
        """Something is shown that the last reading did not have."""
