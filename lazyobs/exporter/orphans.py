# SPDX-License-Identifier: MIT
"""Orphans for the exporter: a slow cycle, because a barrier shrinks slab caches and takes a tenth of a second.

A scrape that finds the last readings older than EVERY takes new ones; all others serve those.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from lazyobs.sources.orphans import OrphanFiles, Orphans
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


def slowly(source: Source, files: OrphanFiles) -> Read:
    """The slow cycle over a live source."""
    reader = files.reader(source)

    def read() -> list[Orphans]:
        nonlocal reader
        if reader.why_not:  # the source may have got its probes since (sources/climbing.py)
            reader = files.reader(source)
        files.barrier.settle()  # where it is refused, the readings say why
        return reader.read()

    return slow(read)
