# SPDX-License-Identifier: MIT
"""When the server accepts a connection: at a pace, and not for a while after descriptors or memory ran out."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from lazyobs.text import say

# Connections a second: whatever they ask for, they take a tenth of a CPU at most. More wait in the backlog.
PACE = 200.0
_BURST = 200.0
_OUT_OF = {
    errno.EMFILE: "descriptors (RLIMIT_NOFILE of this process)",
    errno.ENFILE: "descriptors (fs.file-max)",
    errno.ENOBUFS: "memory for sockets",
    errno.ENOMEM: "memory",
}
_PAUSE = 0.5  # seconds without accept() after that
_TROUBLE_IS_OVER = 60.0  # seconds after the last one


class Budget:
    """Connections that may be accepted now: ``pace`` more every second, _BURST at most."""

    def __init__(self, pace: float, clock: Callable[[], float]) -> None:
        self._pace, self._clock = pace, clock
        self._left, self._at = _BURST, clock()

    def seconds_until_next(self) -> float:
        now = self._clock()
        self._left, self._at = min(_BURST, self._left + (now - self._at) * self._pace), now
        return max(0.0, 1 - self._left) / self._pace

    def take(self) -> None:
        self._left -= 1


class Shortage:
    """Descriptors or memory that accept() has lacked: told once, until a connection is accepted again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._why = ""
        self._told = False
        self._last = float("-inf")

    def met(self, error: OSError) -> None:
        self._last = self._clock()
        self._why = (
            f"no connection can be accepted: out of {_OUT_OF.get(error.errno or 0, os.strerror(error.errno or 0))}"
        )
        if not self._told:
            self._told = True
            say(
                f"lazyobs: {self._why}; raise the limit, or end what fills it: they are accepted again when there is room"
            )

    def over(self) -> None:
        if self._told:
            self._told = False
            say("lazyobs: connections are accepted again")

    def seconds_until_next(self) -> float:
        return max(0.0, self._last + _PAUSE - self._clock()) if self._told else 0.0

    @property
    def lately(self) -> str:
        ago = self._clock() - self._last
        return f"{self._why}, {ago:.0f} s ago" if ago < _TROUBLE_IS_OVER else ""
