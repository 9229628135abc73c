# SPDX-License-Identifier: MIT
"""lazyobs with clocks that run N times as fast, and waits that are N times as short: a day in minutes.

``python -m bench.fast_clock N ARGUMENTS`` is ``lazyobs ARGUMENTS``. All clocks of the process agree, from its start on.
Those of the kernel, and so the stamps of events and what a probe times, are the real ones; so are CPU seconds, and the
clocks of the process that attaches the probes.
"""

from __future__ import annotations

import runpy
import select
import sys
import threading
import time
from typing import Any

_FAST = (time.CLOCK_REALTIME, time.CLOCK_MONOTONIC, time.CLOCK_BOOTTIME)
_SECOND = 1_000_000_000


def lazyobs(speed: float, *arguments: str) -> list[str]:
    """The words of a command with clocks of that speed."""
    program = ["lazyobs"] if speed == 1 else ["bench.fast_clock", f"{speed:g}"]
    return [sys.executable, "-m", *program, *arguments]


def install(speed: float) -> None:
    """Replaces the clocks and waits of this process; to be called before anything has imported them by name."""
    read, nap, wait, poll_of = time.clock_gettime_ns, time.sleep, select.select, select.poll
    began = {clock: read(clock) for clock in _FAST}
    wait_for_notice = threading.Condition.wait

    def fast_ns(clock: int) -> int:
        now = read(clock)
        return began[clock] + round((now - began[clock]) * speed) if clock in began else now

    class Poll:
        """select.poll() is a function whose objects cannot be changed."""

        def __init__(self) -> None:
            self._poll = poll_of()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._poll, name)

        def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
            return self._poll.poll(timeout / speed if timeout and timeout > 0 else timeout)

    def fast(clock: int) -> float:
        return fast_ns(clock) / _SECOND

    def shorter(timeout: float | None) -> float | None:
        return timeout / speed if timeout else timeout

    replaced: dict[Any, dict[str, Any]] = {
        time: {
            "clock_gettime_ns": fast_ns,
            "clock_gettime": fast,
            "time_ns": lambda: fast_ns(time.CLOCK_REALTIME),
            "monotonic_ns": lambda: fast_ns(time.CLOCK_MONOTONIC),
            "time": lambda: fast(time.CLOCK_REALTIME),
            "monotonic": lambda: fast(time.CLOCK_MONOTONIC),
            "sleep": lambda seconds: nap(seconds / speed),
        },
        select: {
            "select": lambda readable, writable, other, timeout=None: wait(readable, writable, other, shorter(timeout)),
            "poll": Poll,
        },
        threading.Condition: {"wait": lambda self, timeout=None: wait_for_notice(self, shorter(timeout))},
    }
    for owner, functions in replaced.items():
        for name, function in functions.items():
            setattr(owner, name, function)


def main() -> None:
    speed = float(sys.argv[1])
    install(speed)
    sys.argv[1:] = sys.argv[2:]
    runpy.run_module("lazyobs", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
