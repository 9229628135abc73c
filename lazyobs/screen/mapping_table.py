# SPDX-License-Identifier: MIT
"""The table of the page of a process: its VMAs, or the names of what they map, in the order that the user chose."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from rich.segment import Segment

from lazyobs import text
from lazyobs.bpf.census import VmaRow
from lazyobs.screen import mappings
from lazyobs.screen.choosers import SortChooser
from lazyobs.screen.line import Line, cut, number, pad
from lazyobs.screen.mappings import COLUMNS, Mapped
from lazyobs.screen.pages.page import Page
from lazyobs.views.local_time import local_time

MOST_VMAS, MOST_NAMES = 4000, 24
_LEFT = ("flags", "state", "name")
_WIDTHS = {
    "start": 12, "end": 12, "vmas": 5, "anonymous": 5, "bytes": 6, "flags": 4, "state": 7, "chains": 7, "anon_vmas": 6,
    "chains_growth": 8, "chains_per_minute": 10,
}  # fmt: skip
_LEAST_NAME, _WIDE = 12, 100  # columns
_LEFT_OUT_FIRST = ("end", "chains_per_minute", "flags", "anon_vmas", "chains_growth", "bytes", "state", "anonymous")


class MappingTable:
    """``draw`` adds it to a page; the other methods change its order."""

    def __init__(self) -> None:
        self.each = False  # VMAs one by one
        self._sorts = {False: "chains", True: "start"}
        self._reversed = {False: False, True: False}
        self._growth = mappings.Growth()
        self._title_at: int | None = None  # line of the page; None while there is no table
        self._headings: list[tuple[str, int, int]] = []  # column, first and last column of the screen

    @property
    def sort(self) -> str:
        return self._sorts[self.each]

    @property
    def columns(self) -> tuple[str, ...]:
        return mappings.EACH if self.each else mappings.BY_NAME

    def draw(self, page: Page, process: Hashable, vmas: Sequence[VmaRow], now: float) -> None:
        """``process`` is an identity; ``now`` is when ``vmas`` were read (unix seconds)."""
        self._growth.note(process, now, vmas)
        rows = mappings.each(vmas) if self.each else mappings.by_name(vmas)
        rows = mappings.in_order(self._growth.added(rows, now), self.sort, self._reversed[self.each])
        self._title_at = len(page.lines)
        page.lines.append([Segment(cut(self._title(), page.width), page.palette.strong)])
        fitted = self._fitted(page.width, rows)
        page.lines.append(self._heading(page, fitted))
        most = MOST_VMAS if self.each else MOST_NAMES
        for row in rows[:most]:
            page.lines.append(_row(page, row, fitted))
        if len(rows) > most:
            self._say_rest(page, rows[most:])

    def absent(self) -> None:
        """The page has no table now."""
        self._title_at, self._headings = None, []

    def _title(self) -> str:
        what, other = ("VMAs one by one", "by name") if self.each else ("VMAs by what they map", "one by one")
        since = local_time(self._growth.since)
        return f"{what}; + is growth since {since}   v: {other}"

    def _say_rest(self, page: Page, rows: Sequence[Mapped]) -> None:
        """Of the rows that are not shown."""
        chains = [row.chains for row in rows]
        held = text.NULL if None in chains else text.number(sum(count or 0 for count in chains))
        what = "VMAs" if self.each else "names"
        page.paragraph(f"and {len(rows)} more {what} with {held} chains: s chooses the order", page.palette.dim)

    def _fitted(self, width: int, rows: Sequence[Mapped]) -> list[tuple[str, int]]:
        """[(column, width)]; the name comes last, and has what is left."""
        widths = dict(_WIDTHS)
        for name in ("start", "end"):  # 57-bit addresses are longer
            widths[name] = max([widths[name], *(len(f"{getattr(row, name) or 0:x}") for row in rows)])
        names = [name for name in self.columns if name != "name" and (name != "end" or width >= _WIDE)]
        for unwanted in _LEFT_OUT_FIRST:
            if sum(widths[name] + 1 for name in names) + _LEAST_NAME <= width:
                break
            names = [name for name in names if name != unwanted]
        left = width - sum(widths[name] + 1 for name in names)
        return [*((name, widths[name]) for name in names), ("name", max(left, 1))]

    def _heading(self, page: Page, fitted: Sequence[tuple[str, int]]) -> Line:
        palette, glyphs = page.palette, page.glyphs
        ascends = COLUMNS[self.sort].is_text != self._reversed[self.each]
        arrow = glyphs.up if ascends else glyphs.down
        line: Line = []
        self._headings, at = [], 0
        for name, width in fitted:
            title = COLUMNS[name].heading
            if name == self.sort:
                title = f"{title}{arrow}" if name in _LEFT else f"{arrow}{title}"
            cell = pad(title, width, name not in _LEFT)
            if len(title) > width and line:  # the arrow uses the gap before the column
                line[-1] = Segment("", None)
                cell = pad(title, width + 1, True)
            style = palette.heading_sorted if name == self.sort else palette.heading
            line += [Segment(cell, style), Segment(" ", palette.heading)]
            self._headings.append((name, at, at + width))
            at += width + 1
        return line[:-1]

    # -- order

    def toggle(self) -> None:
        """VMAs one by one, or by name."""
        self.each = not self.each

    def sort_by(self, name: str) -> None:
        if name != self.sort:
            self._sorts[self.each], self._reversed[self.each] = name, False

    def sort_beside(self, by: int) -> None:
        self.sort_by(self.columns[(self.columns.index(self.sort) + by) % len(self.columns)])

    def reverse(self) -> None:
        self._reversed[self.each] = not self._reversed[self.each]

    def sort_chooser(self) -> SortChooser:
        return SortChooser(self.sort, self.sort_by, {name: COLUMNS[name] for name in self.columns})

    def click(self, x: int, y: int) -> None:
        """On line ``y`` of the page: the title changes between the two tables, a heading the order."""
        if self._title_at is None:
            return
        if y == self._title_at:
            self.toggle()
        elif y == self._title_at + 1:
            for name, begin, end in self._headings:
                if begin <= x <= end:
                    if name == self.sort:
                        self.reverse()
                    else:
                        self.sort_by(name)


def _row(page: Page, row: Mapped, fitted: Sequence[tuple[str, int]]) -> Line:
    line: Line = []
    for name, width in fitted:
        value = getattr(row, name)
        shown = COLUMNS[name].write(value)
        cell = pad(shown, width) if name in _LEFT else number(shown, width)
        style = page.palette.state(row.state) if name == "state" and row.state else page.count_style(value)
        line += [Segment(" "), Segment(cell, style)] if line else [Segment(cell, style)]
    return line
