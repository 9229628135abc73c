# SPDX-License-Identifier: MIT
"""What became of the events: sent and lost, counted where they are made."""

from __future__ import annotations

from array import array

from lazyobs.bpf import abi
from lazyobs.bpf.event import COUNTS


class EventCounts:
    """The producers' own account (struct event_counts): events sent and lost on each CPU since attach."""

    def __init__(self, fd: int, cpus: int) -> None:
        self._fd, self._cpus = fd, cpus

    def read(self) -> list[tuple[int, int]]:
        """[(sent, lost)] by CPU."""
        counts = array("Q", abi.map_lookup(self._fd, bytes(4), COUNTS.size * self._cpus))
        return list(zip(counts[::2], counts[1::2]))

    def lost(self) -> int:
        return sum(lost for _sent, lost in self.read())
