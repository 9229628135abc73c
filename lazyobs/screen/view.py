# SPDX-License-Identifier: MIT
"""What is on the screen, and what a key changes about it. Knows nothing of terminals, threads or Textual."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from rich.segment import Segment

from lazyobs.screen import keys, pages, rows, summary, table
from lazyobs.screen.choosing import Chooser, ColumnChooser, SortChooser
from lazyobs.screen.line import Line, cut
from lazyobs.screen.moment import Moment, Wanted
from lazyobs.screen.palette import Glyphs, Palette
from lazyobs.screen.rows import Filter, Row
from lazyobs.screen.settings import Settings
from lazyobs.views import columns, text

VIEWS = columns.VIEWS
TABLES = ("processes", "forks")
_PAGES: dict[str, Callable[[pages.Writer], None]] = {
    "rmap": pages.rmap,
    "promotions": pages.promotions,
    "slabs": pages.slabs,
    "probes": pages.probes,
}
LEAST_DELAY, MOST_DELAY = 0.05, 86400.0
_LEAST_FOR_TABS, _LEAST_FOR_KEYS, _LEAST_FOR_TIMELINE = 8, 6, 10  # lines of the screen
_MOST_TYPED = 200
_CLOCK = 8  # columns of 15:40:02


@dataclass(frozen=True)
class Timeline:
    """What can be stepped through: the first and last moment (unix seconds), how many there are, which is shown."""

    first: float
    last: float
    position: int
    count: int


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


class Prompt:
    """A line being typed. ``accept`` gets it with Enter; what it returns is told as an error."""

    def __init__(self, label: str, typed: str, accept: Callable[[str], str | None], live: bool = False) -> None:
        self.label, self.typed, self.accept, self.live = label, typed, accept, live
        self.before = typed


class View:
    """The state of the screen. ``lines`` draws it, ``press`` and ``click`` change it."""

    def __init__(
        self,
        clock: Clock,
        palette: Palette,
        glyphs: Glyphs,
        settings: Settings | None = None,
        wanted: Filter | None = None,
        name: str = "processes",
        most_rows: int | None = None,
        fixed_delay: bool = False,
        notice: str = "",
    ) -> None:
        """``fixed_delay``: the time between samples is somebody else's to choose."""
        self.clock, self.palette, self.glyphs = clock, palette, glyphs
        self.settings = settings or Settings()
        self.filter = self._filter_given = wanted or Filter()
        self.name, self.notice = name, notice
        self._most_rows, self._fixed_delay = most_rows, fixed_delay
        self.moment: Moment | None = None
        self.own_cpu: float | None = None  # share of one CPU
        self.ended = False
        self.copied: str | None = None  # what the clipboard is to get
        self.detail: tuple[int, float] | None = None  # identity of the process shown alone
        self.help = False
        self.chooser: Chooser | None = None
        self.prompt: Prompt | None = None
        self._told = ""
        self._told_bad = False
        self._cursor: Any = None  # key of the chosen row; None: the first, whichever it is
        self._cursor_at = 0
        self._top = 0  # first row or line of the page that is in sight
        self._first_column = 0
        self._folded: frozenset[str] = frozenset()
        self._rows: list[Row] = []
        self._height = 24
        self._width = 80
        self._body: list[Line] = []
        self._body_at = 0  # line of the screen where the page begins
        self._tabs: Line = []
        self._head_at: list[tuple[str, int, int]] = []  # column, where it begins and ends on the screen
        self._place = ""  # of the lines in sight, where they are not all
        self._first_row = 1  # line of the page
        self._shown = 0  # rows in sight

    def wanted(self) -> Wanted:
        """What the next reading should have."""
        return Wanted(
            vmas_of=self.detail[0] if self.detail else None,
            programs=self.name == "probes",
        )

    @property
    def chosen(self) -> Row | None:
        """The row under the cursor."""
        return self._rows[self._cursor_at] if self._cursor_at < len(self._rows) else None

    def lines(self, width: int, height: int) -> list[Line]:
        """The whole screen, at most ``height`` lines of at most ``width`` columns."""
        self._width, self._height = width, height
        palette = self.palette
        if self.moment is None:
            return [[Segment(cut("lazyobs: waiting for the first sample", width), palette.dim)]]
        above = summary.height(height)
        lines = summary.lines(
            self.moment, self._status(), self.own_cpu, self.notice, width, above, palette, self.glyphs
        )
        self._body_at = len(lines) + (height >= _LEAST_FOR_TABS)
        below: list[Line] = []
        if self._has_timeline():
            below.append(self._timeline())
        if height >= _LEAST_FOR_KEYS or self.prompt is not None or self._told:
            below.append(self._last_line(width))
        room = max(0, height - self._body_at - len(below))
        self._body = self._page(width, room)[:room]
        if height >= _LEAST_FOR_TABS:
            self._tabs = summary.tabs(VIEWS, self.name, self._state(), width, palette)
            lines.append(self._tabs)
        return [*lines, *self._body, *([[]] * (room - len(self._body))), *below][:height]

    def _status(self) -> str:
        """The end of the first line: the time of what is shown."""
        assert self.moment is not None
        clock = pages.clock(self.moment.sample.time)
        line = self.clock.timeline()
        if self.clock.recorded and line is not None:
            return f"{'PAUSED' if self.clock.frozen else 'REPLAY'} {line.position + 1}/{line.count}  {clock}"
        if self.clock.frozen and line is not None:
            back = line.last - self.moment.sample.time
            return f"FROZEN {clock}" + (f" -{back:.0f}s" if back else "")
        return f"{clock}  {self.clock.delay:g}s"

    def _state(self) -> str:
        """Beside the tabs: what narrows the view."""
        parts = []
        wanted = self.filter
        if wanted.words:
            parts.append(f"/{wanted.words}")
        if wanted.pids:
            parts.append("pid " + ",".join(map(str, wanted.pids)))
        if wanted.user is not None:
            parts.append(f"user {wanted.user}")
        if wanted.cgroup is not None:
            parts.append(f"cgroup {wanted.cgroup}")
        if self.settings.group != rows.FLAT and self.name in TABLES:
            parts.append(self.settings.group + self._why_no_tree())
        if self.name in TABLES and not self._over():
            parts.append(f"{self._cursor_at + 1 if self._rows else 0}/{len(self._rows)}")
        elif self._place:
            parts.append(self._place)
        return text.printable("  ".join(parts))

    def _why_no_tree(self) -> str:
        assert self.moment is not None
        if self.settings.group != rows.TREE or any(one.ppid is not None for one in self.moment.sample.processes):
            return ""
        return ": an earlier lazyobs recorded this, without parents"

    def _over(self) -> bool:
        return self.help or self.detail is not None or self.chooser is not None

    def _last_line(self, width: int) -> Line:
        if self.prompt is not None:
            return [
                Segment(
                    cut(f"{self.prompt.label} {text.printable(self.prompt.typed)}", width - 1), self.palette.strong
                ),
                Segment(" ", self.palette.cursor),
            ]
        if self._told:
            return summary.message(self._told, width, self.palette, self._told_bad)
        return summary.footer(keys.FOOTER, width, self.palette)

    def _has_timeline(self) -> bool:
        return (self.clock.recorded or self.clock.frozen) and self._height >= _LEAST_FOR_TIMELINE

    def _timeline(self) -> Line:
        line = self.clock.timeline()
        if line is None:
            return []
        room = max(1, self._width - 2 * (_CLOCK + 1))
        mark = round(line.position * (room - 1) / (line.count - 1)) if line.count > 1 else 0
        rule, palette = self.glyphs.rule, self.palette
        return [
            Segment(pages.clock(line.first) + " ", palette.dim), Segment(rule * mark, palette.spark),
            Segment(self.glyphs.mark, palette.key), Segment(rule * (room - mark - 1), palette.dim),
            Segment(" " + pages.clock(line.last), palette.dim),
        ]  # fmt: skip

    def _page(self, width: int, height: int) -> list[Line]:
        assert self.moment is not None
        self._head_at, self._place = [], ""
        if height <= 0:
            return []
        if self.chooser is not None:
            return self.chooser.lines(width, height, self.palette)
        if self.help:
            return self._scrolled(keys.lines(width, self.palette), height)
        if self.detail is not None:
            page = pages.Writer(self.moment, width, self.palette, self.glyphs)
            pid = self.detail[0]
            found = next(
                (one for one in self.moment.sample.processes if (one.pid, one.start_time) == self.detail), None
            )
            pages.process(page, found, pid)
            return self._scrolled(page.lines, height)
        if self.name in TABLES:
            return self._table(width, height)
        page = pages.Writer(self.moment, width, self.palette, self.glyphs)
        _PAGES[self.name](page)
        return self._scrolled(page.lines, height)

    def _scrolled(self, lines: list[Line], height: int) -> list[Line]:
        self._top = min(max(self._top, 0), max(0, len(lines) - height))
        if len(lines) > height:
            self._place = f"{self._top + 1}-{self._top + height}/{len(lines)}"
        return lines[self._top : self._top + height]

    def _table(self, width: int, height: int) -> list[Line]:
        assert self.moment is not None
        sort = self.sort
        self._rows = self._make_rows(self.moment)
        self._keep_cursor()
        fitted = table.fitting(self.shown_columns, width, self._first_column)
        is_text = columns.COLUMNS[sort].is_text or sort == "pid"
        arrows = (self.glyphs.down, self.glyphs.up)
        lines = [table.head(fitted, sort, is_text == self.settings.reverse, arrows, self.palette)]
        at = 0
        for name, room in fitted:
            self._head_at.append((name, at, at + room))
            at += room + 1
        if self.name == "forks":
            lines.append(pages.fork_line(self.moment.sample, self.palette, width))
        shown = max(0, height - len(lines))
        if self._most_rows is not None:
            shown = min(shown, self._most_rows)
        self._first_row = len(lines)
        if shown <= 0:
            return lines
        self._shown = shown
        self._top = min(
            max(self._top, self._cursor_at - shown + 1, 0), self._cursor_at, max(0, len(self._rows) - shown)
        )
        for index in range(self._top, min(len(self._rows), self._top + shown)):
            lines.append(table.line(self._rows[index], fitted, self.palette, index == self._cursor_at))
        if not self._rows:
            lines.append([Segment(cut("no process matches; Esc shows all", width), self.palette.dim)])
        return lines

    def _make_rows(self, moment: Moment) -> list[Row]:
        found = [process for process in moment.sample.processes if self.filter.passes(process)]
        sort, reverse, glyphs = self.sort, self.settings.reverse, self.glyphs
        if self.settings.group == rows.CGROUP:
            return rows.by_cgroup(found, sort, reverse, self._folded, (glyphs.open, glyphs.folded))
        if self.settings.group == rows.TREE:
            return rows.tree(found, sort, reverse, (glyphs.branch, glyphs.last, glyphs.pipe))
        return rows.flat(found, sort, reverse)

    def _keep_cursor(self) -> None:
        """The cursor stays on its row wherever that goes; where it has gone, in its place."""
        last = max(0, len(self._rows) - 1)
        if self._cursor is None:
            self._cursor_at = 0
            return
        at = next((index for index, row in enumerate(self._rows) if row.key == self._cursor), None)
        self._cursor_at = min(self._cursor_at, last) if at is None else at
        if at is None and self._rows:
            self._cursor = self._rows[self._cursor_at].key

    @property
    def sort(self) -> str:
        """The column; where none was ever chosen, what matters on this kernel."""
        if self.name == "forks":
            return self.settings.fork_sort
        is_lazy = self.moment is not None and self.moment.sample.kernel.lazy_enabled
        return self.settings.sort or ("saved_bytes" if is_lazy else "savable_bytes")

    def sort_by(self, name: str) -> None:
        if name == self.sort:
            return
        if self.name == "forks":
            self.settings.fork_sort = name
        else:
            self.settings.sort = name
        self.settings.reverse = False

    @property
    def shown_columns(self) -> list[str]:
        return self.settings.fork_columns if self.name == "forks" else self.settings.columns

    def show_columns(self, names: list[str]) -> None:
        if self.name == "forks":
            self.settings.fork_columns = names
        else:
            self.settings.columns = names

    # -- keys and clicks

    def press(self, key: str, character: str | None = None) -> None:
        """One key: Textual's name of it, and the letter it types where it types one."""
        if self.prompt is not None:
            self._type(self.prompt, key, character)
            return
        self._told, self._told_bad = "", False
        if self.chooser is not None:
            self.chooser.key(key)
            if self.chooser.done:
                self.chooser = None
            return
        named = _KEYS.get(character or "") or _KEYS.get(key)
        if key.isdigit() and 1 <= int(key) <= len(VIEWS):
            self.go(VIEWS[int(key) - 1])
        elif named is not None:
            getattr(self, named)()

    def _type(self, prompt: Prompt, key: str, character: str | None) -> None:
        if key == "escape":
            self.prompt = None
            if prompt.live:
                prompt.accept(prompt.before)
            return
        if key == "enter":
            self.prompt = None
            self.tell(prompt.accept(prompt.typed) or "", bad=True)
            return
        if key in ("backspace", "ctrl+h"):
            prompt.typed = prompt.typed[:-1]
        elif key == "ctrl+u":
            prompt.typed = ""
        elif character and character.isprintable() and len(prompt.typed) < _MOST_TYPED:
            prompt.typed += character
        if prompt.live:
            prompt.accept(prompt.typed)

    def tell(self, told: str, bad: bool = False) -> None:
        """A line in place of the keys, until the next one is pressed."""
        self._told, self._told_bad = told, bad

    def go(self, view: str) -> None:
        self.name = view
        self.detail, self.help = None, False
        self._top = self._first_column = 0
        self.clock.hurry()

    def next_view(self) -> None:
        self.go(VIEWS[(VIEWS.index(self.name) + 1) % len(VIEWS)])

    def previous_view(self) -> None:
        self.go(VIEWS[(VIEWS.index(self.name) - 1) % len(VIEWS)])

    def end(self) -> None:
        self.ended = True

    def show_help(self) -> None:
        self.help, self._top = not self.help, 0

    def back_out(self) -> None:
        if self.help or self.detail is not None:
            self.help, self.detail, self._top = False, None, 0
        elif self.filter != self._filter_given:
            self.filter = self._filter_given
        else:
            self.filter = Filter()

    def enter(self) -> None:
        if self._over() or self.name not in TABLES or not self._rows:
            return
        row = self._rows[self._cursor_at]
        path = rows.group_path(row)
        if path is not None:
            self._folded ^= {path}
            self._cursor = row.key
        elif row.process is not None:
            self.detail = row.process.pid, row.process.start_time
            self._cursor, self._top = row.key, 0
            self.clock.hurry()

    def move(self, by: int) -> None:
        if self._over() or self.name not in TABLES:
            self._top += by
        elif self._rows:
            self._cursor_at = min(max(self._cursor_at + by, 0), len(self._rows) - 1)
            self._cursor = self._rows[self._cursor_at].key if self._cursor_at else None

    def up(self) -> None:
        self.move(-1)

    def down(self) -> None:
        self.move(1)

    def page_up(self) -> None:
        self.move(-max(1, self._height // 2))

    def page_down(self) -> None:
        self.move(max(1, self._height // 2))

    def home(self) -> None:
        self.move(-(1 << 30))

    def bottom(self) -> None:
        self.move(1 << 30)

    def left(self) -> None:
        self._first_column = max(0, self._first_column - 1)

    def right(self) -> None:
        hidden = len(self.shown_columns) - len(table.fitting(self.shown_columns, self._width, self._first_column))
        if hidden > self._first_column:
            self._first_column += 1

    def choose_sort(self) -> None:
        if self.name in TABLES:
            self.chooser = SortChooser(self.sort, self.sort_by)

    def choose_columns(self) -> None:
        if self.name in TABLES:
            self.chooser = ColumnChooser(self.shown_columns, self.show_columns)

    def sort_left(self) -> None:
        self._sort_beside(-1)

    def sort_right(self) -> None:
        self._sort_beside(1)

    def _sort_beside(self, by: int) -> None:
        names = self.shown_columns
        at = names.index(self.sort) if self.sort in names else 0
        self.sort_by(names[(at + by) % len(names)])

    def reverse(self) -> None:
        self.settings.reverse = not self.settings.reverse

    def tree(self) -> None:
        self.settings.group = rows.FLAT if self.settings.group == rows.TREE else rows.TREE
        self.clock.hurry()

    def cgroups(self) -> None:
        self.settings.group = rows.FLAT if self.settings.group == rows.CGROUP else rows.CGROUP

    def search(self) -> None:
        def accept(typed: str) -> None:
            self.filter = replace(self.filter, words=typed)

        self.prompt = Prompt("search:", self.filter.words, accept, live=True)

    def only_pids(self) -> None:
        def accept(typed: str) -> str | None:
            try:
                pids = tuple(int(part) for part in typed.replace(",", " ").split())
            except ValueError:
                return f"{typed} is not a list of process ids: 1234,5678"
            self.filter = replace(self.filter, pids=pids)
            return None

        self.prompt = Prompt("only pids (none: all):", ",".join(map(str, self.filter.pids)), accept)

    def only_user(self) -> None:
        def accept(typed: str) -> None:
            self.filter = replace(self.filter, user=typed.strip() or None)

        self.prompt = Prompt("only user (none: all):", self.filter.user or "", accept)

    def ask_delay(self) -> None:
        if self._fixed_delay:
            self.tell("the delay is the server's to choose", bad=True)
            return

        def accept(typed: str) -> str | None:
            try:
                seconds = float(typed)
            except ValueError:
                seconds = 0.0
            if not LEAST_DELAY <= seconds <= MOST_DELAY:
                return f"{typed} is no delay: {LEAST_DELAY:g} to {MOST_DELAY:g} seconds"
            self.clock.set_delay(seconds)
            return None

        self.prompt = Prompt("seconds between samples:", f"{self.clock.delay:g}", accept)

    def copy(self) -> None:
        """What stands in the page, for the terminal's clipboard."""
        lines = ["".join(segment.text for segment in line).rstrip() for line in self._body]
        self.copied = "\n".join(lines).rstrip() + "\n"
        self.tell(f"{len(lines)} lines copied, where the terminal takes them (OSC 52)")

    def freeze(self) -> None:
        self.clock.freeze()

    def step_back(self) -> None:
        self.clock.step(-1)

    def step_on(self) -> None:
        self.clock.step(1)

    def leap_back(self) -> None:
        self.clock.step(-10)

    def leap_on(self) -> None:
        self.clock.step(10)

    def wheel(self, by: int) -> None:
        if self.chooser is not None:
            self.chooser.key("down" if by > 0 else "up")
        else:
            self.move(by)

    def drag(self, x: int, y: int) -> bool:
        """The button is down there: True where that is the time line, which goes to that moment."""
        line = self.clock.timeline()
        if not self._has_timeline() or line is None or y != self._height - 2:
            return False
        room = max(1, self._width - 2 * (_CLOCK + 1))
        x = min(max(x - _CLOCK - 1, 0), room - 1)
        self.clock.seek(round(x * (line.count - 1) / max(1, room - 1)))
        return True

    def click(self, x: int, y: int, double: bool = False) -> None:
        """On the tabs, a heading, a row, or an item of a list."""
        page = y - self._body_at
        if page == -1 and self._height >= _LEAST_FOR_TABS:
            self._click_tab(x)
        elif page < 0:
            return
        elif self.chooser is not None:
            self.chooser.click(page)
            if self.chooser.done:
                self.chooser = None
        elif self.name in TABLES and not self._over():
            self._click_table(x, page, double)

    def _click_tab(self, x: int) -> None:
        at = 0
        for name, segment in zip(VIEWS, self._tabs):
            at += segment.cell_length
            if x < at:
                self.chooser = None
                self.go(name)
                return

    def _click_table(self, x: int, y: int, double: bool) -> None:
        if y == 0:
            for name, begin, end in self._head_at:
                if begin <= x <= end:
                    if name == self.sort:
                        self.reverse()
                    else:
                        self.sort_by(name)
            return
        at = self._top + y - self._first_row
        if 0 <= at < len(self._rows) and self._first_row <= y < self._first_row + self._shown:
            self._cursor_at, self._cursor = at, self._rows[at].key
            if double:
                self.enter()


_KEYS = {
    "q": "end", "Q": "end", "h": "show_help", "?": "show_help", "f1": "show_help", "tab": "next_view",
    "shift+tab": "previous_view", "escape": "back_out", "enter": "enter", "up": "up", "k": "up", "down": "down",
    "j": "down", "pageup": "page_up", "pagedown": "page_down", "home": "home", "g": "home", "end": "bottom",
    "G": "bottom", "left": "left", "right": "right", "s": "choose_sort", "f": "choose_columns", "<": "sort_left",
    ">": "sort_right", "r": "reverse", "R": "reverse", "t": "tree", "c": "cgroups", "/": "search", "p": "only_pids",
    "u": "only_user", "d": "ask_delay", "y": "copy", "space": "freeze", "[": "step_back", "]": "step_on",
    "{": "leap_back", "}": "leap_on",
}  # fmt: skip
