# SPDX-License-Identifier: MIT
"""The plain refreshing screen: alternate screen, no echo, one key at a time; the terminal is always restored."""

from __future__ import annotations

import os
import select
import shutil
import sys
import termios
import time
import tty
from types import TracebackType

from lazyobs.text import width
from lazyobs.unix.interrupt import LONGEST_WAIT

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l\x1b[?7l", "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _CLEAR_LINE, _CLEAR_REST = "\x1b[H", "\x1b[K", "\x1b[J"


class Screen:
    """A context manager that restores the terminal on exit, whatever happened."""

    def __init__(self) -> None:
        self._out, self._in = sys.stdout, sys.stdin
        self._saved: list[object] | None = None

    def __enter__(self) -> Screen:
        if os.isatty(self._in.fileno()):
            self._saved = termios.tcgetattr(self._in.fileno())
            tty.setcbreak(self._in.fileno())
        self._out.write(_ENTER)
        self._out.flush()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._out.write(_LEAVE)
            self._out.flush()
        except OSError:
            pass  # the terminal has gone
        if self._saved is not None:
            try:
                termios.tcsetattr(self._in.fileno(), termios.TCSADRAIN, self._saved)  # type: ignore[arg-type]
            except termios.error:
                pass

    def draw(self, text: str) -> None:
        """Shows the lines that fit, each cut at the terminal's width."""
        columns, rows = shutil.get_terminal_size()
        lines = [fit(line, columns) + _CLEAR_LINE for line in text.splitlines()[:rows]]
        self._out.write(_HOME + "\n".join(lines) + _CLEAR_REST)
        self._out.flush()

    def key(self, seconds: float) -> str:
        """A key pressed within that time, or ""."""
        inputs = [] if self._saved is None else [self._in]
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select(inputs, [], [], min(left, LONGEST_WAIT))[0]:
                return os.read(self._in.fileno(), 1).decode("ascii", "ignore")
        return ""


def fit(line: str, columns: int) -> str:
    """``line`` cut to that many terminal columns; wide characters take two."""
    taken = 0
    for index, letter in enumerate(line):
        taken += width(letter)
        if taken > columns:
            return line[:index]
    return line
