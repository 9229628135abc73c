# SPDX-License-Identifier: MIT
"""What is on the screen, and what a key changes about it. Knows nothing of terminals, threads or Textual."""

from __future__ import annotations

from collections.abc import Callable

from rich.segment import Segment

from lazyobs.screen import keys, pages, prompt, rows, summary
from lazyobs.screen.choosers import Chooser
from lazyobs.screen.line import Line, cut
from lazyobs.screen.listing import Listing
from lazyobs.screen.palette import Glyphs, Palette
from lazyobs.screen.prompt import Prompt
from lazyobs.screen.rows import Filter
from lazyobs.screen.settings import Settings
from lazyobs.screen.state import ScreenState, Wanted
from lazyobs.screen.timeline import Clock
from lazyobs.text import plural
from lazyobs.views import columns

VIEWS = columns.VIEWS
_TABLES = ("processes", "forks")
_PAGES: dict[str, Callable[[pages.Writer], None]] = {
    "rmap": pages.rmap,
    "promotions": pages.promotions,
    "slabs": pages.slabs,
    "probes": pages.probes,
}
_LEAST_FOR_TABS, _LEAST_FOR_KEYS, _LEAST_FOR_TIMELINE = 8, 6, 10  # lines of the screen
_FAR = 1 << 30  # rows


class View:
    """The state of the screen. ``lines`` draws it; ``press``, ``click``, ``wheel`` and ``drag`` change it."""

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
        self.listing = Listing(palette, glyphs, self.settings, wanted or Filter(), most_rows)
        self.notice = notice
        self.screen_state: ScreenState | None = None
        self.own_cpu: float | None = None  # share of one CPU
        self.ended = False
        self.copied: str | None = None  # what the clipboard is to get
        self.detail: tuple[int, float] | None = None  # identity of the process shown alone
        self.help = False
        self.chooser: Chooser | None = None
        self.prompt: Prompt | None = None
        self._fixed_delay = fixed_delay
        self._told = ""
        self._told_bad = False
        self._top = 0  # first line of the page that is in sight
        self._place = ""  # of the lines in sight, where they are not all
        self._height, self._width = 24, 80
        self._body: list[Line] = []
        self._body_at = 0  # line of the screen where the page begins
        self._tabs: Line = []
        self.name = name
        self.listing.forks = name == "forks"

    def wanted(self) -> Wanted:
        """What the next reading should have."""
        return Wanted(
            vmas_of=self.detail[0] if self.detail else None,
            programs=self.name == "probes",
        )

    # -- drawing

    def lines(self, width: int, height: int) -> list[Line]:
        """The whole screen, at most ``height`` lines of at most ``width`` columns."""
        self._width, self._height = width, height
        palette = self.palette
        if self.screen_state is None:
            return [[Segment(cut("lazyobs: waiting for the first sample", width), palette.dim)]]
        above = summary.height(height)
        lines = summary.lines(
            self.screen_state,
            self._status(self.screen_state),
            self.own_cpu,
            self.notice,
            width,
            above,
            palette,
            self.glyphs,
        )
        self._body_at = len(lines) + (height >= _LEAST_FOR_TABS)
        below: list[Line] = []
        if self._has_timeline():
            line = self.clock.timeline()
            below.append(line.line(width, palette, self.glyphs) if line else [])
        if height >= _LEAST_FOR_KEYS or self.prompt is not None or self._told:
            below.append(self._last_line(width))
        room = max(0, height - self._body_at - len(below))
        self._place = ""
        self._body = self._page(self.screen_state, width, room)[:room] if room else []
        if height >= _LEAST_FOR_TABS:
            self._tabs = summary.tabs(VIEWS, self.name, self._state(self.screen_state), width, palette)
            lines.append(self._tabs)
        return [*lines, *self._body, *([[]] * (room - len(self._body))), *below][:height]

    def _status(self, screen_state: ScreenState) -> str:
        """The end of the first line: the time of what is shown."""
        clock = pages.clock(screen_state.sample.time)
        line = self.clock.timeline()
        if self.clock.recorded and line is not None:
            return f"{'PAUSED' if self.clock.frozen else 'REPLAY'} {line.position + 1}/{line.count}  {clock}"
        if self.clock.frozen and line is not None:
            back = line.last - screen_state.sample.time
            return f"FROZEN {clock}" + (f" -{back:.0f}s" if back else "")
        return f"{clock}  {self.clock.delay:g}s"

    def _state(self, screen_state: ScreenState) -> str:
        """Beside the tabs: what narrows the view, and where in it one is."""
        parts = self.listing.narrowed()
        if self.name in _TABLES:
            parts.append(self.listing.grouped(screen_state))
        parts.append(self.listing.place() if self._is_table() else self._place)
        return "  ".join(filter(None, parts))

    def _is_table(self) -> bool:
        """Whether the page is the table, with nothing over it."""
        return self.name in _TABLES and not self.help and self.detail is None and self.chooser is None

    def _last_line(self, width: int) -> Line:
        if self.prompt is not None:
            return self.prompt.line(width, self.palette)
        if self._told:
            return summary.message(self._told, width, self.palette, self._told_bad)
        return summary.footer(keys.FOOTER, width, self.palette)

    def _has_timeline(self) -> bool:
        return (self.clock.recorded or self.clock.frozen) and self._height >= _LEAST_FOR_TIMELINE

    def _page(self, screen_state: ScreenState, width: int, height: int) -> list[Line]:
        if self.chooser is not None:
            return self.chooser.lines(width, height, self.palette)
        if self.help:
            return self._scrolled(keys.lines(width, self.palette), height)
        if self._is_table():
            return self.listing.lines(screen_state, width, height)
        page = pages.Writer(screen_state, width, self.palette, self.glyphs)
        if self.detail is not None:
            processes = screen_state.sample.processes
            found = next((one for one in processes if (one.pid, one.start_time) == self.detail), None)
            pages.process(page, found, self.detail[0])
        else:
            _PAGES[self.name](page)
        return self._scrolled(page.lines, height)

    def _scrolled(self, lines: list[Line], height: int) -> list[Line]:
        self._top = min(max(self._top, 0), max(0, len(lines) - height))
        if len(lines) > height:
            self._place = f"{self._top + 1}-{self._top + height}/{len(lines)}"
        return lines[self._top : self._top + height]

    # -- keys

    def press(self, key: str, character: str | None = None) -> None:
        """One key: Textual's name of it, and the letter it types where it types one."""
        if self.prompt is not None:
            self.prompt.press(key, character)
            if self.prompt.done:
                self.tell(self.prompt.error, bad=True)
                self.prompt = None
            return
        self.tell("")
        if self.chooser is not None:
            self.chooser.key(key)
            self._end_choosing()
            return
        action = _KEYS.get(character or "") or _KEYS.get(key)
        if key.isdigit() and 1 <= int(key) <= len(VIEWS):
            self.go(VIEWS[int(key) - 1])
        elif action is not None:
            action(self)

    def _end_choosing(self) -> None:
        if self.chooser is not None and self.chooser.done:
            self.chooser = None

    def tell(self, told: str, bad: bool = False) -> None:
        """A line in place of the keys, until the next one is pressed."""
        self._told, self._told_bad = told, bad

    def go(self, view: str) -> None:
        self.name = view
        self.listing.forks = view == "forks"
        self.listing.rewind()
        self.detail, self.help = None, False
        self._top = 0
        self.clock.hurry()

    def go_beside(self, by: int) -> None:
        self.go(VIEWS[(VIEWS.index(self.name) + by) % len(VIEWS)])

    def end(self) -> None:
        self.ended = True

    def show_help(self) -> None:
        self.help, self._top = not self.help, 0

    def back_out(self) -> None:
        if self.help or self.detail is not None:
            self.help, self.detail, self._top = False, None, 0
        else:
            self.listing.widen()

    def enter(self) -> None:
        if self._is_table() and (process := self.listing.enter()) is not None:
            self.detail, self._top = (process.pid, process.start_time), 0
            self.clock.hurry()

    def move(self, by: int) -> None:
        if self._is_table():
            self.listing.move(by)
        else:
            self._top += by

    def leaf(self, by: int) -> None:
        """By half a screen."""
        self.move(by * max(1, self._height // 2))

    def choose_sort(self) -> None:
        if self.name in _TABLES:
            self.chooser = self.listing.sort_chooser()

    def choose_columns(self) -> None:
        if self.name in _TABLES:
            self.chooser = self.listing.column_chooser()

    def tree(self) -> None:
        self.listing.group(rows.TREE)
        self.clock.hurry()

    def cgroups(self) -> None:
        self.listing.group(rows.CGROUP)

    def search(self) -> None:
        self.prompt = prompt.search(self.listing)

    def only_pids(self) -> None:
        self.prompt = prompt.pids(self.listing)

    def only_user(self) -> None:
        self.prompt = prompt.user(self.listing)

    def ask_delay(self) -> None:
        if self._fixed_delay:
            self.tell("the delay is the server's to choose", bad=True)
        else:
            self.prompt = prompt.delay(self.clock)

    def copy(self) -> None:
        """What stands in the page, for the terminal's clipboard."""
        lines = ["".join(segment.text for segment in line).rstrip() for line in self._body]
        self.copied = "\n".join(lines).rstrip() + "\n"
        self.tell(f"{len(lines)} {plural(len(lines), 'line')} copied, where the terminal takes them (OSC 52)")

    # -- the pointer

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
        self.clock.seek(line.position_at(x, self._width))
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
            self._end_choosing()
        elif self._is_table() and self.listing.click(x, page) and double:
            self.enter()

    def _click_tab(self, x: int) -> None:
        at = 0
        for name, segment in zip(VIEWS, self._tabs):
            at += segment.cell_length
            if x < at:
                self.chooser = None
                self.go(name)
                return


_KEYS: dict[str, Callable[[View], None]] = {
    **dict.fromkeys(("q", "Q"), View.end),
    **dict.fromkeys(("h", "?", "f1"), View.show_help),
    "tab": lambda view: view.go_beside(1),
    "shift+tab": lambda view: view.go_beside(-1),
    "escape": View.back_out,
    "enter": View.enter,
    **dict.fromkeys(("up", "k"), lambda view: view.move(-1)),
    **dict.fromkeys(("down", "j"), lambda view: view.move(1)),
    "pageup": lambda view: view.leaf(-1),
    "pagedown": lambda view: view.leaf(1),
    **dict.fromkeys(("home", "g"), lambda view: view.move(-_FAR)),
    **dict.fromkeys(("end", "G"), lambda view: view.move(_FAR)),
    "left": lambda view: view.listing.left(),
    "right": lambda view: view.listing.right(),
    "s": View.choose_sort,
    "f": View.choose_columns,
    "<": lambda view: view.listing.sort_beside(-1),
    ">": lambda view: view.listing.sort_beside(1),
    **dict.fromkeys(("r", "R"), lambda view: view.listing.reverse()),
    "t": View.tree,
    "c": View.cgroups,
    "/": View.search,
    "p": View.only_pids,
    "u": View.only_user,
    "d": View.ask_delay,
    "y": View.copy,
    "space": lambda view: view.clock.freeze(),
    "[": lambda view: view.clock.step(-1),
    "]": lambda view: view.clock.step(1),
    "{": lambda view: view.clock.step(-10),
    "}": lambda view: view.clock.step(10),
}
