# SPDX-License-Identifier: MIT
"""The Textual program around the view: runs the clock, passes keys and clicks to the view, draws its lines."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from textual import constants, events
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.screen import Screen

from lazyobs.screen.canvas import Canvas
from lazyobs.screen.clocks import LiveClock, RecordedClock
from lazyobs.screen.driver import TerminalDriver
from lazyobs.screen.line import strip
from lazyobs.screen.state import ScreenState
from lazyobs.screen.terminal import RICH
from lazyobs.screen.view import View

_SECONDS_TO_CATCH_UP = 0.1  # until a slow terminal is tried again


class _OneScreen(Screen[None]):
    """A screen without key bindings of its own."""

    BINDINGS = []
    AUTO_FOCUS = "Canvas"


class Top(App[None]):
    """``failure`` is the error that ended it, for the caller to raise."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS = [
        Binding("ctrl+c", "quit", show=False, priority=True),
        Binding("ctrl+q", "quit", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", show=False, priority=True),
    ]
    CSS = "Screen { background: ansi_default; color: ansi_default; layout: vertical; overflow: hidden hidden; }"

    def __init__(
        self,
        clock: LiveClock | RecordedClock,
        view: View,
        iterations: int | None = None,
        pids: tuple[int, ...] = (),
        driver_class: Any = TerminalDriver,
    ) -> None:
        # Left to itself, Textual asks Rich, which assumes 16 colours for every terminal it does not know.
        constants.COLOR_SYSTEM = "auto" if view.palette.depth == RICH else "standard"  # type: ignore[misc]
        super().__init__(driver_class=driver_class, ansi_color=True)
        self.failure: BaseException | None = None
        self.canvas = Canvas(self.paint)
        self.view = view
        self._feed_clock = clock
        self._iterations, self._pids = iterations, pids
        self._feed_thread = ThreadPoolExecutor(1, thread_name_prefix="feed")
        self._feed_task: asyncio.Task[None] | None = None
        self._is_paint_due = False
        clock.show, clock.wanted = self._show_state, view.wanted

    def get_default_screen(self) -> Screen[None]:
        return _OneScreen(id="_default")

    def compose(self) -> ComposeResult:
        yield self.canvas

    def on_mount(self) -> None:
        self.canvas.focus()
        self._feed_task = asyncio.create_task(self._run_feed())

    async def _run_feed(self) -> None:
        try:
            await self._feed_clock.run(self._feed_thread, self._iterations, self._pids)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self.failure = error
        self.exit()

    async def on_unmount(self) -> None:
        if self._feed_task is not None:
            self._feed_task.cancel()
        self._feed_thread.shutdown(wait=True, cancel_futures=True)

    def _handle_exception(self, error: Exception) -> None:
        """Ends the program; the command reports the error in one line, where Textual would print a traceback."""
        self.failure = self.failure or error
        self._exception = self._exception or error
        self._exception_event.set()
        self._return_code = 1
        self._close_messages_no_wait()

    def _show_state(self, screen_state: ScreenState) -> None:
        self.view.screen_state, self.view.own_cpu = screen_state, self._feed_clock.own_cpu
        self.paint()

    def paint(self) -> None:
        """Redraws everything; the canvas sends only what changed. If the terminal is behind, it is done later."""
        width, height = self.canvas.size
        if not self.is_running or width <= 0 or height <= 0:
            return
        if getattr(self._driver, "behind", False):
            if not self._is_paint_due:
                self._is_paint_due = True
                self.set_timer(_SECONDS_TO_CATCH_UP, self._paint_now)
            return
        rest = self.view.palette.text
        self.canvas.show([strip(line, width, rest) for line in self.view.lines(width, height)])

    def _paint_now(self) -> None:
        self._is_paint_due = False
        self.paint()

    def _after(self) -> None:
        """Carries out what the view asked for in response to a key or click."""
        if self.view.copied is not None:
            self.copy_to_clipboard(self.view.copied)
            self.view.copied = None
        if self.view.ended:
            self.exit()
        else:
            self.paint()

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        self.view.press(event.key, event.character)
        self._after()

    def on_paste(self, event: events.Paste) -> None:
        if self.view.prompt is not None:
            for character in event.text.splitlines()[0] if event.text else "":
                self.view.press(character, character)
            self._after()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self.view.wheel(3)
        self._after()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self.view.wheel(-3)
        self._after()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if self.view.drag(event.x, event.y):
            self._after()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if event.button and self.view.drag(event.x, event.y):
            self._after()

    def on_click(self, event: events.Click) -> None:
        self.view.click(event.x, event.y, double=event.chain > 1)
        self._after()
