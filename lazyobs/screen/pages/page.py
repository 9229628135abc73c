# SPDX-License-Identifier: MIT
"""What the pages share: a page collects lines, none wider than the screen."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.segment import Segment
from rich.style import Style

from lazyobs import text
from lazyobs.model import Sample
from lazyobs.screen.line import Line, cut, number, pad
from lazyobs.screen.palette import Glyphs, Palette
from lazyobs.screen.state import ScreenState

_LEAST_TEXT = 4  # columns: text that would get fewer is left out


class Page:
    """``lines`` so far; ``width`` is in columns."""

    def __init__(self, screen_state: ScreenState, width: int, palette: Palette, glyphs: Glyphs) -> None:
        self.screen_state, self.width, self.palette, self.glyphs = screen_state, width, palette, glyphs
        self.lines: list[Line] = []

    def blank(self) -> None:
        self.lines.append([])

    def paragraph(self, sentence: str, style: Style | None = None) -> None:
        """Wraps ``sentence``; continuation lines are indented."""
        for line in textwrap.wrap(sentence, max(self.width, 20), subsequent_indent="  ", break_on_hyphens=False) or [
            ""
        ]:
            self.lines.append([Segment(cut(line, self.width), style or self.palette.text)])

    def heading(self, cells: Iterable[tuple[str, int]]) -> None:
        """Cells are (title, width); a negative width aligns to the left. Cells that do not fit are left out."""
        titles = " ".join(pad(title, abs(width), width > 0) for title, width in self._fit(cells))
        self.lines.append([Segment(pad(titles, self.width), self.palette.heading)])

    def row(self, cells: Iterable[tuple[str, int, Style]]) -> None:
        """Cells are (text, width, style), aligned as in ``heading``."""
        line: Line = []
        for value, width, style in self._fit(cells):
            shown = number(value, width) if width > 0 else pad(value, -width)
            line += [Segment(" "), Segment(shown, style)] if line else [Segment(shown, style)]
        self.lines.append(line)

    def _fit(self, cells: Iterable[Any]) -> Iterator[Any]:
        """The first cells that fit, a blank between them. Text may be cut, a number may not."""
        left = self.width
        for value, width, *style in cells:
            if abs(width) > left:
                if width < 0 and left >= _LEAST_TEXT:
                    yield (value, -left, *style)
                return
            yield (value, width, *style)
            left -= abs(width) + 1

    def cannot_show(self, name: str, instead: str) -> bool:
        """Whether the totals ``name`` are null here: then one paragraph stands for the table of dashes that they would be,
        with the reason and what to look at ``instead``."""
        totals, reasons = self.screen_state.sample.totals, self.screen_state.sample.null_reasons
        if totals.get(name) is not None:
            return False
        why = reasons.get(f"totals.{name}") or reasons.get("totals")
        if why is None:
            return False
        self.paragraph(
            f"{name.replace('_', ' ')} are not known on this kernel: {text.printable(why)}", self.palette.strong
        )
        self.paragraph(f"{instead}; 6 lists the probes and why each is missing.", self.palette.dim)
        return True

    def null_reasons(self, *names: str) -> None:
        """Why those of ``names`` that are null are null, each reason once."""
        for reason in dict.fromkeys(null_reasons(self.screen_state.sample, names)):
            self.paragraph(reason, self.palette.dim)

    def count_style(self, value: float | None) -> Style:
        """Zeros and unknown numbers are dim."""
        return self.palette.text if value else self.palette.dim


def percent(share: float | None) -> str:
    return text.NULL if share is None else f"{share:.0%}"


def null_reasons(sample: Sample, names: Sequence[str]) -> list[str]:
    """``- name: reason`` for those of ``names`` that are null. A reason may stand for all before the dot."""
    reasons = []
    for name in names:
        for key in (name, name.split(".")[0]):
            if key in sample.null_reasons:
                reasons.append(f"- {text.printable(name)}: {text.printable(sample.null_reasons[key])}")
                break
    return reasons
