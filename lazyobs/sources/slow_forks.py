# SPDX-License-Identifier: MIT
"""The slow forks of a sample; what the attached probes cannot know of them is None."""

from __future__ import annotations

from collections.abc import Container, Iterable

from lazyobs.bpf.slow_forks import SlowFork
from lazyobs.model import MOST_FORKS, Fork
from lazyobs.text import c_string


def forks_of(found: Iterable[SlowFork], known: Container[str], offset: float) -> list[Fork]:
    """The first MOST_FORKS. ``known``: counters and histograms that are known; ``offset``: unix time of boot."""
    return [_fork(one, known, offset) for one, _ in zip(found, range(MOST_FORKS))]


def _fork(one: SlowFork, known: Container[str], offset: float) -> Fork:
    waits = "lock_waits" in known
    anon = one.anon_nanoseconds if "fork_seconds" in known else None
    tables = one.page_table_nanoseconds if "fork_page_table_seconds" in known else None
    rest = None if anon is None or tables is None else one.nanoseconds - anon - tables
    return Fork(
        time=round(offset + one.stamp / 1e9, 3),
        pid=one.tgid,
        start_time=round(offset + one.start / 1e9, 2),
        comm=c_string(one.comm),
        child=one.child,
        seconds=one.nanoseconds / 1e9,
        anon_seconds=_seconds(anon),
        lock_seconds=one.waited / 1e9 if waits else None,
        lock_waits=one.waits if waits else None,
        vmas=one.vmas,
        chains=one.chains if "fork_chains" in known else None,
        threads=one.threads,
        page_table_seconds=_seconds(tables),
        rest_seconds=_seconds(rest),
    )


def _seconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e9
