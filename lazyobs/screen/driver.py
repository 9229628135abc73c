# SPDX-License-Identifier: MIT
"""Textual's Linux driver without what a monitor does not need, and safe if the terminal goes away.

It draws on standard output, asks for clicks and the wheel but not for every mouse movement, and switches on no
terminal mode that ``RESTORE`` does not reset.
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

from lazyobs.unix import locale

# Mouse, bracketed paste and focus reports off, line wrapping on, attributes reset, normal screen, cursor on.
RESTORE = "\x1b[?1000l\x1b[?1002l\x1b[?1006l\x1b[?2004l\x1b[?1004l\x1b[?7h\x1b[0m\x1b[?1049l\x1b[?25h"
_POINTER_SHAPE = "\x1b]22;"  # of the mouse pointer: consoles that do not know the sequence print it
_MOST_WAITING = 8  # writes; Textual's queue holds 30, and a full queue blocks the program
_SECONDS_OF_ESCAPE = 0.1  # until an Escape is a key and not the start of a sequence
_SECONDS_TO_WRITE = 1.0  # at exit: a stopped terminal must not keep the program alive


class Terminal:
    """The file that Textual's writer thread writes to. It never raises: it calls ``gone`` if the terminal has gone.

    It has no buffer: a writer blocked by a stopped terminal would hold the buffer's lock when the program exits.
    """

    def __init__(self, fd: int, gone: Callable[[], None]) -> None:
        self._fd, self._gone, self._open = fd, gone, True

    def fileno(self) -> int:
        return self._fd

    def write(self, text: str) -> None:
        data = locale.in_bytes(text)
        while data and self._open:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                self._open = False
                self._gone()

    def flush(self) -> None:
        """There is no buffer."""


class TerminalDriver(LinuxDriver):
    """See the module. ``behind``: the terminal is slow, and more drawing would only queue up."""

    def __init__(
        self, app: Any, *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        constants.DISABLE_KITTY_KEY = True  # type: ignore[misc]  # RESTORE cannot reset that keyboard protocol
        self._wake_read = -1
        self._wake_write: int | None = None
        self._file = Terminal(sys.__stdout__.fileno() if sys.__stdout__ else 1, self._terminal_gone)  # type: ignore[assignment]

    @property
    def behind(self) -> bool:
        return self._writer_thread is not None and self._writer_thread._queue.qsize() > _MOST_WAITING

    def write(self, data: str) -> None:
        if not data.startswith(_POINTER_SHAPE):
            super().write(data)

    def _terminal_gone(self) -> None:
        """Called in a thread when the terminal has been closed."""
        try:
            asyncio.run_coroutine_threadsafe(self._app._post_message(messages.ExitApp()), self._loop)
        except RuntimeError:
            pass  # the loop has already ended

    def _enable_mouse_support(self) -> None:
        if self._mouse:
            self.write("\x1b[?1000h\x1b[?1002h\x1b[?1006h")

    def _disable_mouse_support(self) -> None:
        if self._mouse and self._writer_thread is not None:
            self.write("\x1b[?1000l\x1b[?1002l\x1b[?1006l")

    def _query_in_band_window_resize(self) -> None:
        """Not needed: SIGWINCH reports a resize."""

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
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def disable_input(self) -> None:
        if self._wake_write is not None and not self.exit_event.is_set():
            os.write(self._wake_write, b"w")  # the input thread sleeps in select
            super().disable_input()
            os.close(self._wake_read)
            os.close(self._wake_write)
            self._wake_write = None

    def run_input_thread(self) -> None:
        """As Textual's, but the end of input ends the program (a closed terminal stays readable), and the thread sleeps
        until there is input, where Textual's polls ten times a second."""
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        timeout: float | None = None
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            selector.register(self._wake_read, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                ready = selector.select(timeout)
                timeout = None
                if any(key.fd == self.fileno for key, _ in ready):
                    data = os.read(self.fileno, 4096)
                    if not data:
                        self._terminal_gone()
                        return
                    for event in parser.feed(decode(data)):
                        self.process_message(event)
                    timeout = _SECONDS_OF_ESCAPE
                for event in parser.tick():
                    self.process_message(event)
