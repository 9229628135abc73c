# SPDX-License-Identifier: MIT
"""Gaps in time: the machine was suspended, its clock was set, or this process did not run. Each gap is recorded.

CLOCK_BOOTTIME advances while the machine is suspended, CLOCK_MONOTONIC does not, and only the real-time clock can be
set (clock_gettime(2)).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from lazyobs.unix.clock import boottime_ns

_SUSPEND_SECONDS = 0.5
_JUMP_SECONDS = 0.5


@dataclass(frozen=True)
class Clocks:
    """One reading of the three clocks, in ns; ``boot`` as the kernel stamps events with it."""

    real: int
    monotonic: int
    boot: int

    @classmethod
    def now(cls) -> Clocks:
        return cls(time.time_ns(), time.monotonic_ns(), boottime_ns())


@dataclass(frozen=True)
class Gap:
    """``kind``: suspend, clock_jump (``seconds`` forward, or back when negative) or stall."""

    kind: str
    seconds: float
    text: str


class GapFinder:
    """Compares each tick with the previous tick."""

    def __init__(self, interval: float, read: Callable[[], Clocks] = Clocks.now) -> None:
        """``interval``: seconds from tick to tick. A tick later than two intervals plus a second is a stall."""
        self._read = read
        self._late = 2 * interval + 1
        self._before = read()

    def look(self) -> list[Gap]:
        """The gaps since the last call."""
        before, now = self._before, self._read()
        self._before = now
        monotonic, boot = (now.monotonic - before.monotonic) / 1e9, (now.boot - before.boot) / 1e9
        real = (now.real - before.real) / 1e9
        gaps = []
        if boot - monotonic > _SUSPEND_SECONDS:
            gaps.append(Gap("suspend", round(boot - monotonic, 3), "the machine was suspended"))
        if abs(real - boot) > _JUMP_SECONDS:
            gaps.append(Gap("clock_jump", round(real - boot, 3), "the real-time clock was set"))
        if monotonic > self._late:
            gaps.append(Gap("stall", round(monotonic, 3), "nothing was recorded: the machine or the disk was too slow"))
        return gaps
