# SPDX-License-Identifier: MIT
"""Since when the counts of a process are all of it, and how many allocations can have been missed since."""

from __future__ import annotations

import bisect
from collections.abc import Callable

from lazyobs.unix.clock import boottime_ns


class History:
    """Readings of two counts: runs that the probe of allocations missed, and processes for which a map was full."""

    def __init__(self, now: Callable[[], int] = boottime_ns) -> None:
        self._now = now
        self._times: list[int] = []
        self._readings: list[tuple[int, int]] = []
        self.changes = 0  # how often they have changed: what was said of a process before is not true any more

    def note(self, misses: int, full: int) -> None:
        """A reading that has just been taken. Counts seldom change, and only changes are kept."""
        if self._readings and self._readings[-1] == (misses, full):
            return
        self.changes += 1
        self._times.append(self._now())
        self._readings.append((misses, full))

    def missed(self, start: int) -> int | None:
        """The most allocations of a process started then (ns since boot) that are not counted; None if any may be.

        Those it had before the first reading are not counted, and none of a process whose map was full.
        """
        at = bisect.bisect_left(self._times, start) - 1
        if at < 0:
            return None
        (misses, full), (misses_then, full_then) = self._readings[-1], self._readings[at]
        return None if full > full_then else misses - misses_then
