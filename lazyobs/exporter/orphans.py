# SPDX-License-Identifier: MIT
"""Orphans for the exporter: a slow cycle, because a barrier shrinks slab caches and takes a tenth of a second.

A scrape that finds the last readings older than EVERY takes new ones; all others serve those.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from lazyobs.kernel.slab import Slabinfo
from lazyobs.kernel.slab_barrier import SlabBarrier
from lazyobs.sources.orphans import OrphanReader, Orphans
from lazyobs.sources.source import Source

EVERY = 300.0  # seconds
Read = Callable[[], list[Orphans]]


def slow(read: Read, every: float = EVERY, clock: Callable[[], float] = time.monotonic) -> Read:
    """``read``, called again when its last result is ``every`` seconds old. One that fails is tried at the next call."""
    last: list[Orphans] = []
    due = clock()

    def orphans() -> list[Orphans]:
        nonlocal last, due
        if clock() >= due:
            last = read()
            due = clock() + every
        return last

    return orphans


class OrphanFiles:
    """What orphans are read from besides the source: opened by root, read later without privileges."""

    def __init__(self) -> None:
        self._slabinfo, self._barrier = Slabinfo(), SlabBarrier()

    def of(self, source: Source) -> Read:
        """The slow cycle over a live source."""
        reader = OrphanReader(source, self._slabinfo, self._barrier)

        def read() -> list[Orphans]:
            nonlocal reader
            if reader.why_not:  # the source may have got its probes since (sources/climbing.py)
                reader = OrphanReader(source, self._slabinfo, self._barrier)
            self._barrier.settle()  # where it is refused, the readings say why
            return reader.read()

        return slow(read)

    def close(self) -> None:
        self._slabinfo.close()
        self._barrier.close()
