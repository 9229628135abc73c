# SPDX-License-Identifier: MIT
"""The ledger of anon_vma objects: do allocations and frees account for the live objects?

The number of live objects is known only at a barrier, and then within bounds (see lazyobs/invariants.py). With A and
F as the objects allocated and freed since attach, live - (A - F) is a constant, and every reading bounds it.
"""

from __future__ import annotations

from dataclasses import dataclass

# Free objects that an allocation can add to the per-CPU slabs: a slab, and partial slabs for twice 120 free
# objects, rounded up by a slab (set_cpu_partial() and get_partial_node() in mm/slub.c).
_PARTIAL = 240


@dataclass(frozen=True)
class Account:
    """Counts since attach; ``alloc_misses`` and ``free_misses`` are skipped runs of the probes."""

    allocs: int
    frees: int
    alloc_misses: int = 0
    free_misses: int = 0


@dataclass(frozen=True)
class LedgerReading:
    """``active`` objects in slabinfo; the accounts before the caches were shrunk and after slabinfo was read."""

    active: int
    objects_a_slab: int
    before: Account
    after: Account

    def bounds(self) -> tuple[int, int]:
        """Lowest and highest possible value of live - (A - F)."""
        allocs = self.after.allocs - self.before.allocs
        frees = self.after.frees - self.before.frees
        # A lacks the skipped runs; but a skipped run may also have been for another object.
        unseen = self.after.alloc_misses - self.before.alloc_misses
        free_room = frees + (allocs + unseen) * (2 * self.objects_a_slab + _PARTIAL)
        most = self.after.allocs + self.after.alloc_misses - self.before.frees
        least = self.before.allocs - self.after.frees - self.after.free_misses
        return self.active - free_room - most, self.active - least


class Ledger:
    """``violations`` is None until there is a previous reading to compare with."""

    def __init__(self) -> None:
        self.violations: int | None = None
        self._known: tuple[int, int] | None = None
        self._suspect: tuple[int, int] | None = None

    def judge(self, barrier: LedgerReading) -> int | None:
        """Checks a reading; for a violation, returns the minimum number of objects concerned (positive: too many)."""
        now = barrier.bounds()
        if self._known is None:
            self._known = now
            return None
        self.violations = self.violations or 0
        if common := _common(self._known, now):
            self._known, self._suspect = common, None
            return None
        # During a reading an object can be between its tracepoint and its slab: the next reading decides.
        confirmed = _common(self._suspect, now) if self._suspect else None
        if confirmed is None:
            self._suspect = now
            return None
        off = confirmed[0] - self._known[1] if confirmed[0] > self._known[1] else confirmed[1] - self._known[0]
        self.violations += 1
        self._known, self._suspect = confirmed, None
        return off


def _common(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int] | None:
    least, most = max(one[0], other[0]), min(one[1], other[1])
    return (least, most) if least <= most else None
