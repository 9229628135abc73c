# SPDX-License-Identifier: MIT
"""The terminal: Textual's Linux driver, less what a monitor does not need, and safe where the terminal goes away.

It draws on standard output, asks for clicks and the wheel but not for every movement of the mouse, and switches on
nothing that a shell could not use again should the process be killed before it can switch it off, but what
``RESTORE`` puts back.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import sys
import time
from codecs import getincrementaldecoder
from collections.abc import Callable
from typing import Any

from textual import constants, messages
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

# Mouse, bracketed paste, focus reports off; wrapping and the cursor on; attributes and the other screen gone.
RESTORE = "\x1b[?1000l\x1b[?1002l\x1b[?1006l\x1b[?2004l\x1b[?1004l\x1b[?7h\x1b[0m\x1b[?1049l\x1b[?25h"
_POINTER_SHAPE = "\x1b]22;"  # of the mouse: some consoles show what they do not know
_MOST_WAITING = 8  # pieces; Textual's queue has room for 30 and then makes the program wait
_SECONDS_OF_ESCAPE = 0.1  # until an Escape is a key of its own and not the beginning of one
_SECONDS_TO_WRITE = 1.0  # when it ends; a terminal that takes nothing must not keep us


class Terminal:
    """What Textual's writing thread takes for a file. It never raises: that the terminal has gone is told to ``gone``.

    It has no buffer: a thread that a stopped terminal holds up would lock it when the program ends.
    """

    def __init__(self, fd: int, gone: Callable[[], None]) -> None:
        self._fd, self._gone, self._open = fd, gone, True

    def fileno(self) -> int:
        return self._fd

    def write(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        while data and self._open:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                self._open = False
                self._gone()

    def flush(self) -> None:
        """Nothing is held back."""


class TerminalDriver(LinuxDriver):
    """See above. ``behind`` tells that the terminal is slow: drawing more would only pile up."""

    def __init__(
        self, app: Any, *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        constants.DISABLE_KITTY_KEY = True  # type: ignore[misc]  # a shell could not undo that keyboard protocol
        self._woken = -1
        self._wake: int | None = None
        self._file = Terminal(sys.__stdout__.fileno() if sys.__stdout__ else 1, self._terminal_gone)  # type: ignore[assignment]

    @property
    def behind(self) -> bool:
        return self._writer_thread is not None and self._writer_thread._queue.qsize() > _MOST_WAITING

    def write(self, data: str) -> None:
        if not data.startswith(_POINTER_SHAPE):
            super().write(data)

    def _terminal_gone(self) -> None:
        """From a thread: the terminal was closed."""
        try:
            asyncio.run_coroutine_threadsafe(self._app._post_message(messages.ExitApp()), self._loop)
        except RuntimeError:
            pass  # the loop has ended already

    def _enable_mouse_support(self) -> None:
        if self._mouse:
            self.write("\x1b[?1000h\x1b[?1002h\x1b[?1006h")

    def _disable_mouse_support(self) -> None:
        if self._mouse and self._writer_thread is not None:
            self.write("\x1b[?1000l\x1b[?1002l\x1b[?1006l")

    def _query_in_band_window_resize(self) -> None:
        """SIGWINCH says it."""

    def stop_application_mode(self) -> None:
        if self._writer_thread is not None:
            super().stop_application_mode()
            self.write(RESTORE)

    def close(self) -> None:
        if self._writer_thread is not None:
            self._writer_thread._queue.put(None)
            self._writer_thread.join(_SECONDS_TO_WRITE)

    def _run_input_thread(self) -> None:
        try:
            self.run_input_thread()
        except OSError:
            self._terminal_gone()

    def start_application_mode(self) -> None:
        self._woken, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def disable_input(self) -> None:
        if self._wake is not None and not self.exit_event.is_set():
            os.write(self._wake, b"w")  # the thread sleeps until there is something to read
            super().disable_input()
            os.close(self._woken)
            os.close(self._wake)
            self._wake = None

    def run_input_thread(self) -> None:
        """As Textual's, but the end of input ends the program (a closed terminal is readable for ever), and while
        nothing is typed nobody looks ten times a second whether something was."""
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        pause: float | None = None
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                ready = selector.select(pause)
                pause = None
                if any(key.fd == self.fileno for key, _ in ready):
                    data = os.read(self.fileno, 4096)
                    if not data:
                        self._terminal_gone()
                        return
                    for event in parser.feed(decode(data)):
                        self.process_message(event)
                    pause = _SECONDS_OF_ESCAPE
                for event in parser.tick():
                    self.process_message(event)
