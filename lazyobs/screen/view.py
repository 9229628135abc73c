# SPDX-License-Identifier: MIT
"""What is on the screen, and what keys and clicks change. Knows nothing of terminals, threads or Textual."""

from __future__ import annotations

from rich.segment import Segment

from lazyobs.screen import prompt, rows, summary
from lazyobs.screen.choosers import Chooser
from lazyobs.screen.footer import Footer
from lazyobs.screen.keys import ACTIONS, FOOTER, FOOTER_OF_PROCESS
from lazyobs.screen.line import Line, cut
from lazyobs.screen.mapping_table import MappingTable
from lazyobs.screen.pages import PAGES, help, process
from lazyobs.screen.pages.page import Page
from lazyobs.screen.palette import Glyphs, Palette
from lazyobs.screen.process_table import ProcessTable
from lazyobs.screen.prompt import Prompt
from lazyobs.screen.settings import Settings
from lazyobs.screen.state import ScreenState, Wanted
from lazyobs.screen.timeline import Clock
from lazyobs.text import plural
from lazyobs.views import columns
from lazyobs.views.local_time import local_time
from lazyobs.views.process_filter import ProcessFilter

VIEWS = columns.VIEWS
_TABLES = ("processes", "forks")
_LEAST_FOR_TABS, _LEAST_FOR_KEYS, _LEAST_FOR_TIMELINE = 8, 6, 10  # lines of the screen


class View:
    """The state of the screen. ``lines`` draws it; ``press``, ``click``, ``wheel`` and ``drag`` change it."""

    def __init__(
        self,
        clock: Clock,
        palette: Palette,
        glyphs: Glyphs,
        settings: Settings | None = None,
        process_filter: ProcessFilter | None = None,
        name: str = "processes",
        most_rows: int | None = None,
        fixed_delay: bool = False,
        notice: str = "",
    ) -> None:
        """``fixed_delay``: the user cannot change the time between samples."""
        self.clock: Clock = clock
        self.palette, self.glyphs = palette, glyphs
        self.settings = settings or Settings()
        self.table: ProcessTable = ProcessTable(
            palette, glyphs, self.settings, process_filter or ProcessFilter(), most_rows
        )
        self.mappings = MappingTable()
        self.notice = notice
        self.screen_state: ScreenState | None = None
        self.own_cpu: float | None = None  # share of one CPU
        self.ended = False
        self.copied: str | None = None  # text for the clipboard
        self.detail: tuple[int, float] | None = None  # identity of the process whose page is open
        self.help = False
        self.chooser: Chooser | None = None
        self.prompt: Prompt | None = None
        self._fixed_delay = fixed_delay
        self._message = ""
        self._is_error = False
        self._top = 0  # first line of the page in sight
        self._scroll_label = ""  # which lines are in sight; empty if all are
        self._height, self._width = 24, 80
        self._body: list[Line] = []
        self._body_at = 0  # line of the screen where the page begins
        self._tabs: Line = []
        self._footer = Footer()
        self.name = name
        self.table.forks = name == "forks"

    def wanted(self) -> Wanted:
        """What the next sample should come with."""
        return Wanted(
            vmas_of=self.detail[0] if self.detail else None,
            programs=self.name == "probes",
        )

    # -- drawing

    def lines(self, width: int, height: int) -> list[Line]:
        """The whole screen: at most ``height`` lines of at most ``width`` columns."""
        self._width, self._height = width, height
        self._footer.shown = False
        palette = self.palette
        if self.screen_state is None:
            return [[Segment(cut("lazyobs: waiting for the first sample", width), palette.dim)]]
        lines = summary.lines(
            self.screen_state,
            self._status(self.screen_state),
            self.own_cpu,
            self.notice,
            width,
            summary.height(height),
            palette,
            self.glyphs,
        )
        self._body_at = len(lines) + (height >= _LEAST_FOR_TABS)
        below: list[Line] = []
        if self._has_timeline():
            timeline = self.clock.timeline()
            below.append(timeline.line(width, palette, self.glyphs) if timeline else [])
        if height >= _LEAST_FOR_KEYS or self.prompt is not None or self._message:
            below.append(self._last_line(width))
        left = max(0, height - self._body_at - len(below))
        self._scroll_label = ""
        self._body = self._page(self.screen_state, width, left)[:left] if left else []
        if height >= _LEAST_FOR_TABS:
            self._tabs = summary.tabs(VIEWS, self.name, self._labels(self.screen_state), width, palette)
            lines.append(self._tabs)
        return [*lines, *self._body, *([[]] * (left - len(self._body))), *below][:height]

    def _status(self, screen_state: ScreenState) -> str:
        """The right end of the first line: which time is shown."""
        clock = local_time(screen_state.sample.time)
        timeline = self.clock.timeline()
        if self.clock.recorded and timeline is not None:
            return f"{'PAUSED' if self.clock.frozen else 'REPLAY'} {timeline.position + 1}/{timeline.count}  {clock}"
        if self.clock.frozen and timeline is not None:
            back = timeline.last - screen_state.sample.time
            return f"FROZEN {clock}" + (f" -{back:.0f}s" if back else "")
        return f"{clock}  {self.clock.delay:g}s"

    def _labels(self, screen_state: ScreenState) -> str:
        """Beside the tabs: filter, grouping, and the position in the page."""
        labels = self.table.filter_labels()
        if self.name in _TABLES:
            labels.append(self.table.group_label(screen_state))
        labels.append(self.table.position_label() if self._is_table() else self._scroll_label)
        return "  ".join(filter(None, labels))

    def _is_table(self) -> bool:
        """Whether the process table is in sight, with nothing over it."""
        return self.name in _TABLES and not self.help and self.detail is None and self.chooser is None

    def _is_process(self) -> bool:
        """Whether the page of a process is in sight, with nothing over it."""
        return self.detail is not None and not self.help and self.chooser is None

    def _last_line(self, width: int) -> Line:
        if self.prompt is not None:
            return self.prompt.line(width, self.palette)
        if self._message:
            return summary.message(self._message, width, self.palette, self._is_error)
        return self._footer.line(FOOTER_OF_PROCESS if self._is_process() else FOOTER, width, self.palette)

    def _has_timeline(self) -> bool:
        return (self.clock.recorded or self.clock.frozen) and self._height >= _LEAST_FOR_TIMELINE

    def _page(self, screen_state: ScreenState, width: int, height: int) -> list[Line]:
        if self.chooser is not None:
            return self.chooser.lines(width, height, self.palette)
        if self.help:
            return self._scrolled(help.lines(width, self.palette), height)
        if self._is_table():
            return self.table.lines(screen_state, width, height)
        page = Page(screen_state, width, self.palette, self.glyphs)
        if self.detail is not None:
            processes = screen_state.sample.processes
            match = next((one for one in processes if (one.pid, one.start_time) == self.detail), None)
            process.draw(page, match, self.detail[0], self.mappings)
        else:
            PAGES[self.name](page)
        return self._scrolled(page.lines, height)

    def _scrolled(self, lines: list[Line], height: int) -> list[Line]:
        self._top = min(max(self._top, 0), max(0, len(lines) - height))
        if len(lines) > height:
            self._scroll_label = f"{self._top + 1}-{self._top + height}/{len(lines)}"
        return lines[self._top : self._top + height]

    # -- keys

    def press(self, key: str, character: str | None = None) -> None:
        """A key: Textual's name of it, and the character it types, if any."""
        if self.prompt is not None:
            self.prompt.press(key, character)
            if self.prompt.done:
                self.show_message(self.prompt.error, is_error=True)
                self.prompt = None
            return
        self.show_message("")
        if self.chooser is not None:
            self.chooser.press(key)
            self._close_chooser_if_done()
            return
        action = ACTIONS.get(character or "") or ACTIONS.get(key)
        if key.isdigit() and 1 <= int(key) <= len(VIEWS):
            self.go(VIEWS[int(key) - 1])
        elif action is not None:
            action(self)

    def _close_chooser_if_done(self) -> None:
        if self.chooser is not None and self.chooser.done:
            self.chooser = None

    def show_message(self, message: str, is_error: bool = False) -> None:
        """In place of the keys, until the next key is pressed."""
        self._message, self._is_error = message, is_error

    def go(self, view: str) -> None:
        self.name = view
        self.table.forks = view == "forks"
        self.table.rewind()
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
            self.table.widen()

    def enter(self) -> None:
        if self._is_table() and (chosen := self.table.enter()) is not None:
            self.detail, self._top = (chosen.pid, chosen.start_time), 0
            self.clock.hurry()

    def move(self, by: int) -> None:
        if self._is_table():
            self.table.move(by)
        else:
            self._top += by

    def move_half_screens(self, by: int) -> None:
        self.move(by * max(1, self._height // 2))

    def choose_sort(self) -> None:
        if self._is_process():
            self.chooser = self.mappings.sort_chooser()
        elif self.name in _TABLES:
            self.chooser = self.table.sort_chooser()

    def sort_beside(self, by: int) -> None:
        (self.mappings if self._is_process() else self.table).sort_beside(by)

    def reverse(self) -> None:
        (self.mappings if self._is_process() else self.table).reverse()

    def toggle_mappings(self) -> None:
        if self._is_process():
            self.mappings.toggle()
            self._top = 0

    def choose_columns(self) -> None:
        if self.name in _TABLES:
            self.chooser = self.table.column_chooser()

    def toggle_tree(self) -> None:
        self.table.toggle_group(rows.TREE)
        self.clock.hurry()

    def toggle_cgroups(self) -> None:
        self.table.toggle_group(rows.CGROUP)

    def ask_search(self) -> None:
        self.prompt = prompt.search(self.table)

    def ask_pids(self) -> None:
        self.prompt = prompt.pids(self.table)

    def ask_user(self) -> None:
        self.prompt = prompt.user(self.table)

    def ask_delay(self) -> None:
        if self._fixed_delay:
            self.show_message("the server sets the delay", is_error=True)
        else:
            self.prompt = prompt.delay(self.clock)

    def copy(self) -> None:
        """The lines of the page that are in sight, for the terminal's clipboard."""
        lines = ["".join(segment.text for segment in line).rstrip() for line in self._body]
        self.copied = "\n".join(lines).rstrip() + "\n"
        self.show_message(f"{len(lines)} {plural(len(lines), 'line')} copied, if the terminal supports OSC 52")

    # -- the mouse

    def wheel(self, by: int) -> None:
        if self.chooser is not None:
            self.chooser.press("down" if by > 0 else "up")
        else:
            self.move(by)

    def drag(self, x: int, y: int) -> bool:
        """The button is down there. On the time line, goes to that sample and returns True."""
        timeline = self.clock.timeline()
        if not self._has_timeline() or timeline is None or y != self._height - 2:
            return False
        self.clock.seek(timeline.position_at(x, self._width))
        return True

    def click(self, x: int, y: int, double: bool = False) -> None:
        """On the tabs, a heading, a row, or an item of a list."""
        line = y - self._body_at
        if line == -1 and self._height >= _LEAST_FOR_TABS:
            self._click_tab(x)
        elif y == self._height - 1 and self._footer.shown:
            if pressed := self._footer.key_at(x):
                self.press(*pressed)
        elif line < 0:
            return
        elif self.chooser is not None:
            self.chooser.click(line)
            self._close_chooser_if_done()
        elif self._is_process():
            self.mappings.click(x, self._top + line)
        elif self._is_table() and self.table.click(x, line) and double:
            self.enter()

    def _click_tab(self, x: int) -> None:
        at = 0
        for name, segment in zip(VIEWS, self._tabs):
            at += segment.cell_length
            if x < at:
                self.chooser = None
                self.go(name)
                return
