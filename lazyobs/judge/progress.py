# SPDX-License-Identifier: MIT
"""What judge is at, while it is: a line on standard error at each step, and now and then in a long one."""

from __future__ import annotations

import time
from collections.abc import Callable

from lazyobs.text import say

_EVERY = 60.0  # seconds between two lines of one step


class Progress:
    """``show``: called with all lines so far when there is a new one, for the page; may be set later."""

    def __init__(self, show: Callable[[list[str]], None] = lambda _lines: None) -> None:
        self._began = time.monotonic()
        self.show = show
        self._lines: list[str] = []
        self._told = 0.0

    def say(self, line: str) -> None:
        minutes = (time.monotonic() - self._began) / 60
        self._lines.append(f"{minutes:.0f} min: {line}")
        self._told = time.monotonic()
        say(f"judge: {line}")
        self.show(self._lines)

    def still(self, what: str, seconds: float) -> None:
        """A step is at work for that long."""
        if time.monotonic() - self._told >= _EVERY:
            self._told = time.monotonic()
            say(f"judge: {what}: {seconds / 60:.0f} min so far")
