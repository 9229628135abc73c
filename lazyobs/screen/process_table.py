# SPDX-License-Identifier: MIT
"""The table of processes as the user has arranged it: filter, order, columns, cursor, scrolling."""

from __future__ import annotations

from typing import Any

from rich.segment import Segment

from lazyobs import text
from lazyobs.model import COUNTER_NAMES, Process, Sample
from lazyobs.screen import rows, table_lines
from lazyobs.screen.choosers import ColumnChooser, SortChooser
from lazyobs.screen.line import Line, cut
from lazyobs.screen.pages.forks import fork_line, slow_fork_lines
from lazyobs.screen.palette import Glyphs, Palette
from lazyobs.screen.rows import Row
from lazyobs.screen.settings import FORK_COLUMNS, PROCESS_COLUMNS, Settings
from lazyobs.screen.state import ScreenState
from lazyobs.views import columns
from lazyobs.views.process_filter import ProcessFilter


def _idle(sample: Sample) -> frozenset[str]:
    """Columns of dashes, and of zeros where a kernel has no laziness."""
    unknown = {name for name in COUNTER_NAMES if f"totals.{name}" in sample.null_reasons}
    found = {*unknown, *(f"{name}_rate" for name in unknown)}
    if sample.kernel.lazy_enabled is None and not sample.census.get("vmas_lazy"):
        found |= {"saved_bytes", "vmas_lazy"}
    return frozenset(found)


class ProcessTable:
    """``lines`` draws it, the other methods change it. ``forks``: the columns and order of the page of forks."""

    def __init__(
        self,
        palette: Palette,
        glyphs: Glyphs,
        settings: Settings,
        process_filter: ProcessFilter,
        most_rows: int | None,
    ) -> None:
        self._palette, self._glyphs, self._settings = palette, glyphs, settings
        self.filter = self._first_filter = process_filter
        self.forks = False
        self._most_rows = most_rows
        self._is_lazy = False
        self._idle: frozenset[str] = frozenset()  # columns that say nothing on this kernel
        self._rows: list[Row] = []
        self._cursor: Any = None  # key of the chosen row; None: the first row, whatever that is
        self._cursor_at = 0
        self._top = 0  # first row in sight
        self._shown = 0  # rows in sight
        self._first_row = 1  # line of the page
        self._first_column = 0
        self._width = 80
        self._folded: frozenset[str] = frozenset()
        self._headings_at: list[tuple[str, int, int]] = []  # column, first and last column of the screen

    @property
    def chosen(self) -> Row | None:
        """The row under the cursor."""
        return self._rows[self._cursor_at] if self._cursor_at < len(self._rows) else None

    def lines(self, screen_state: ScreenState, width: int, height: int) -> list[Line]:
        self._width, self._is_lazy = width, bool(screen_state.sample.kernel.lazy_enabled)
        self._idle = _idle(screen_state.sample)
        self._rows = self._make_rows(screen_state)
        self._keep_cursor()
        fitted = table_lines.fit_columns(self.columns, width, self._first_column)
        lines = [self._heading_line(fitted)]
        if self.forks:
            lines.append(fork_line(screen_state.sample, self._palette, width))
            lines += slow_fork_lines(screen_state.sample, self._palette, width)
        self._first_row = len(lines)
        self._shown = max(0, height - len(lines))
        if self._most_rows is not None:
            self._shown = min(self._shown, self._most_rows)
        if not self._shown:
            return lines
        least, most = max(self._top, self._cursor_at - self._shown + 1, 0), max(0, len(self._rows) - self._shown)
        self._top = min(least, self._cursor_at, most)
        for index in range(self._top, min(len(self._rows), self._top + self._shown)):
            lines.append(table_lines.row_line(self._rows[index], fitted, self._palette, index == self._cursor_at))
        if not self._rows:
            lines.append([Segment(cut("no process matches; Esc shows all", width), self._palette.dim)])
        return lines

    def _heading_line(self, fitted: list[tuple[str, int]]) -> Line:
        self._headings_at = []
        at = 0
        for name, width in fitted:
            self._headings_at.append((name, at, at + width))
            at += width + 1
        sort, glyphs = self.sort, self._glyphs
        is_text = columns.COLUMNS[sort].is_text or sort == "pid"
        is_descending = is_text == self._settings.reverse
        return table_lines.heading_line(fitted, sort, is_descending, (glyphs.down, glyphs.up), self._palette)

    def _make_rows(self, screen_state: ScreenState) -> list[Row]:
        passed = [process for process in screen_state.sample.processes if self.filter.passes(process)]
        sort, reverse, glyphs = self.sort, self._settings.reverse, self._glyphs
        if self._settings.group == rows.CGROUP:
            return rows.by_cgroup(
                passed, sort, reverse, self._folded, (glyphs.open, glyphs.folded), screen_state.sample.ended_growth
            )
        if self._settings.group == rows.TREE:
            return rows.tree(passed, sort, reverse, (glyphs.branch, glyphs.last, glyphs.pipe))
        return rows.flat(passed, sort, reverse)

    def _keep_cursor(self) -> None:
        """The cursor follows its row; if the row is gone, it stays at its position."""
        last = max(0, len(self._rows) - 1)
        if self._cursor is None:
            self._cursor_at = 0
            return
        at = next((index for index, row in enumerate(self._rows) if row.key == self._cursor), None)
        self._cursor_at = min(self._cursor_at, last) if at is None else at
        if at is None and self._rows:
            self._cursor = self._rows[self._cursor_at].key

    # -- what the line of the tabs says of it

    def filter_labels(self) -> list[str]:
        wanted, labels = self.filter, []
        if wanted.words:
            labels.append(f"/{wanted.words}")
        if wanted.pids:
            labels.append("pid " + ",".join(map(str, wanted.pids)))
        if wanted.user is not None:
            labels.append(f"user {wanted.user}")
        if wanted.cgroup is not None:
            labels.append(f"cgroup {wanted.cgroup}")
        return [text.printable(label) for label in labels]

    def group_label(self, screen_state: ScreenState) -> str:
        """How the rows are grouped; empty for a flat list."""
        group = self._settings.group
        if group == rows.TREE and all(process.ppid is None for process in screen_state.sample.processes):
            return f"{group}: recorded by an older lazyobs, without parents"
        return "" if group == rows.FLAT else group

    def position_label(self) -> str:
        return f"{self._cursor_at + 1 if self._rows else 0}/{len(self._rows)}"

    # -- order and columns

    @property
    def sort(self) -> str:
        """The column; until the user chooses one, what matters on this kernel."""
        if self.forks:
            return self._settings.fork_sort
        return self._settings.sort or ("saved_bytes" if self._is_lazy else "savable_bytes")

    def sort_by(self, name: str) -> None:
        if name == self.sort:
            return
        if self.forks:
            self._settings.fork_sort = name
        else:
            self._settings.sort = name
        self._settings.reverse = False

    def sort_beside(self, by: int) -> None:
        names = self.columns
        at = names.index(self.sort) if self.sort in names else 0
        self.sort_by(names[(at + by) % len(names)])

    def reverse(self) -> None:
        self._settings.reverse = not self._settings.reverse

    @property
    def columns(self) -> list[str]:
        """Those in sight: as the user chose, or until then those that say something on this kernel."""
        chosen = self._chosen
        if chosen not in (list(PROCESS_COLUMNS), list(FORK_COLUMNS)):
            return chosen
        return [name for name in chosen if name not in self._idle or name == self.sort]

    @property
    def _chosen(self) -> list[str]:
        return self._settings.fork_columns if self.forks else self._settings.columns

    def _set_columns(self, names: list[str]) -> None:
        if self.forks:
            self._settings.fork_columns = names
        else:
            self._settings.columns = names

    def sort_chooser(self) -> SortChooser:
        return SortChooser(self.sort, self.sort_by)

    def column_chooser(self) -> ColumnChooser:
        return ColumnChooser(self._chosen, self._set_columns)

    def toggle_group(self, group: str) -> None:
        """Groups so, or makes the list flat again."""
        self._settings.group = rows.FLAT if self._settings.group == group else group

    # -- movement

    def rewind(self) -> None:
        """Scrolls back to the first row and column."""
        self._top = self._first_column = 0

    def move(self, by: int) -> None:
        if self._rows:
            self._cursor_at = min(max(self._cursor_at + by, 0), len(self._rows) - 1)
            self._cursor = self._rows[self._cursor_at].key if self._cursor_at else None

    def scroll_left(self) -> None:
        self._first_column = max(0, self._first_column - 1)

    def scroll_right(self) -> None:
        hidden = len(self.columns) - len(table_lines.fit_columns(self.columns, self._width, self._first_column))
        if hidden > self._first_column:
            self._first_column += 1

    def enter(self) -> Process | None:
        """The process under the cursor; a cgroup is folded or unfolded."""
        row = self.chosen
        if row is None:
            return None
        path = rows.group_path(row)
        if path is not None:
            self._folded ^= {path}
        self._cursor = row.key
        return row.process

    def widen(self) -> None:
        """Back to the filter of the command line; from there to no filter."""
        self.filter = self._first_filter if self.filter != self._first_filter else ProcessFilter()

    def click(self, x: int, y: int) -> bool:
        """A click on line ``y`` of the table. True if it hit a row, which now has the cursor."""
        if y == 0:
            self._click_heading(x)
            return False
        at = self._top + y - self._first_row
        if not (self._first_row <= y < self._first_row + self._shown and at < len(self._rows)):
            return False
        self._cursor_at, self._cursor = at, self._rows[at].key
        return True

    def _click_heading(self, x: int) -> None:
        for name, begin, end in self._headings_at:
            if begin <= x <= end:
                if name == self.sort:
                    self.reverse()
                else:
                    self.sort_by(name)
