# SPDX-License-Identifier: MIT
"""Threads that are created, with their stacks, before events are counted, and then start work together."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Threads:
    """``count`` threads waiting for work."""

    def __init__(self, count: int) -> None:
        self._start = threading.Barrier(count + 1)
        self._end = threading.Barrier(count + 1)
        self._work: Callable[[int], None] = lambda _number: None
        self._errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._live, args=(number,), daemon=True) for number in range(count)]
        for thread in self._threads:
            thread.start()
        self.run(lambda _number: None)

    def _live(self, number: int) -> None:
        while True:
            self._start.wait()
            try:
                self._work(number)
            except BaseException as error:
                self._errors.append(error)
            self._end.wait()

    def start(self, work: Callable[[int], None]) -> None:
        """Starts ``work(number)`` in all threads at once."""
        self._work = work
        self._start.wait()

    def join(self) -> None:
        """Waits for all threads; re-raises an exception if any thread raised one."""
        self._end.wait()
        if self._errors:
            raise self._errors.pop()

    def run(self, work: Callable[[int], None]) -> None:
        self.start(work)
        self.join()
