# SPDX-License-Identifier: MIT
"""Reading the slowest forks of the last minute (probes/process.c)."""

from __future__ import annotations

from typing import NamedTuple

from lazyobs.bpf import abi
from lazyobs.bpf.layouts import ENTRIES, SLOW_FORK

_FORK = SLOW_FORK.struct()
SECONDS = ENTRIES["SLOW_FORKS"] * 2 ** ENTRIES["SLOW_FORK_SHIFT"] / 1e9  # that the map reaches back, at most


class SlowFork(NamedTuple):
    """One element; layouts.py explains the columns."""

    stamp: int
    start: int
    nanoseconds: int
    anon_nanoseconds: int
    page_table_nanoseconds: int
    waited: int
    waits: int
    chains: int
    vmas: int
    threads: int
    tgid: int
    child: int
    comm: bytes


def read(fd: int, cpus: int, now: int) -> list[SlowFork]:
    """Those that ended less than a minute before ``now`` (CLOCK_BOOTTIME, ns), the slowest first."""
    found = []
    for key in range(ENTRIES["SLOW_FORKS"]):
        raw = abi.map_lookup(fd, key.to_bytes(4, "little"), _FORK.size * cpus)
        found += [SlowFork._make(values) for values in _FORK.iter_unpack(raw)]
    late = [fork for fork in found if fork.stamp and now - fork.stamp < 60_000_000_000]
    return sorted(late, key=lambda fork: fork.nanoseconds, reverse=True)
