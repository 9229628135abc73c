# SPDX-License-Identifier: MIT
"""The time line on the last line but one: the samples that can be shown, and the clock that chooses one."""

from __future__ import annotations

from dataclasses import dataclass

from rich.segment import Segment

from lazyobs.screen.line import Line
from lazyobs.screen.palette import Glyphs, Palette
from lazyobs.views.local_time import local_time

_TIME = 8  # columns of 15:40:02


@dataclass(frozen=True)
class Timeline:
    """Times of the first and last sample (unix seconds), the position of the one shown, and their count."""

    first: float
    last: float
    position: int
    count: int

    def line(self, width: int, palette: Palette, glyphs: Glyphs) -> Line:
        length = _length(width)
        mark = round(self.position * (length - 1) / (self.count - 1)) if self.count > 1 else 0
        return [
            Segment(local_time(self.first) + " ", palette.dim), Segment(glyphs.rule * mark, palette.spark),
            Segment(glyphs.mark, palette.key), Segment(glyphs.rule * (length - mark - 1), palette.dim),
            Segment(" " + local_time(self.last), palette.dim),
        ]  # fmt: skip

    def position_at(self, x: int, width: int) -> int:
        """The position that a column of ``line`` stands for; columns beyond the ends stand for the ends."""
        length = _length(width)
        x = min(max(x - _TIME - 1, 0), length - 1)
        return round(x * (self.count - 1) / max(1, length - 1))


def _length(width: int) -> int:
    return max(1, width - 2 * (_TIME + 1))


class Clock:
    """The time that the view shows. Subclasses are in clocks.py; a ``position`` counts samples on the time line."""

    recorded = False
    frozen = False
    delay = 1.0

    def timeline(self) -> Timeline | None:
        """None before the first sample."""

    def step(self, samples: int) -> None:
        """Goes forward, or back if negative, and freezes."""

    def seek(self, position: int) -> None:
        """Goes to a position, and freezes."""

    def freeze(self) -> None:
        """Freezes, or continues."""

    def set_delay(self, seconds: float) -> None:
        """Sets the seconds between samples."""

    def hurry(self) -> None:
        """The view now shows something that the last sample did not come with: read it soon."""
