# SPDX-License-Identifier: MIT
"""A word for a person who waits for the loader: a line that counts on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
from types import TracebackType

from lazyobs.text import printable, say

_FIRST = 2.0  # seconds in silence: as a rule it takes one
_FIRST_IN_A_LOG = 10.0  # then at twice the time, and so on
_WAY_OUT, _WITHOUT_BPF = "Ctrl-C ends it", ", --tier procfs starts without BPF"


class Patience:
    """A context manager: on leaving it the terminal's line is cleared."""

    def __init__(self, procfs_serves: bool = True) -> None:
        """``procfs_serves``: whether the command could do without BPF."""
        self._way_out = _WAY_OUT + (_WITHOUT_BPF if procfs_serves else "")
        self._on_terminal = sys.stderr.isatty()
        self._next = _FIRST if self._on_terminal else _FIRST_IN_A_LOG
        self._shown = False

    def wait(self, doing: str, seconds: float) -> None:
        """To be called a few times a second, with what takes so long."""
        if seconds < self._next:
            return
        line = f"lazyobs: {doing}: {seconds:.0f} s ... ({self._way_out})"
        if self._on_terminal:
            print(f"\r{printable(line)}\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown, self._next = True, seconds + 1
        else:
            say(line)
            self._next = seconds * 2

    def __enter__(self) -> Patience:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
