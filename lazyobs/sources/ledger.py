# SPDX-License-Identifier: MIT
"""The ledger of anon_vma objects: do allocations and frees explain how many live?

What lives is known at a barrier only, and then within bounds (see lazyobs/invariants.py). With A and F for
everything allocated and freed since attach, live - (A - F) is a constant: every reading bounds it.
"""

from __future__ import annotations

from dataclasses import dataclass

# Room on the per-CPU slabs that one allocation can bring along: a slab, and partial ones for twice 120 free
# objects, rounded up by a slab (set_cpu_partial() and get_partial_node() in mm/slub.c).
_PARTIAL = 240


@dataclass(frozen=True)
class Account:
    """Counts since attach; ``alloc_misses`` and ``free_misses`` are runs of the probes that were skipped."""

    allocs: int
    frees: int
    alloc_misses: int = 0
    free_misses: int = 0


@dataclass(frozen=True)
class LedgerReading:
    """``active`` objects by slabinfo; the account before the caches were shrunk and after slabinfo was read."""

    active: int
    objects_a_slab: int
    before: Account
    after: Account

    def bounds(self) -> tuple[int, int]:
        """Lowest and highest value that live - (A - F) can have."""
        allocs = self.after.allocs - self.before.allocs
        frees = self.after.frees - self.before.frees
        # A misses what was skipped; what was skipped could also have been anything else.
        unseen = self.after.alloc_misses - self.before.alloc_misses
        free_room = frees + (allocs + unseen) * (2 * self.objects_a_slab + _PARTIAL)
        most = self.after.allocs + self.after.alloc_misses - self.before.frees
        least = self.before.allocs - self.after.frees - self.after.free_misses
        return self.active - free_room - most, self.active - least


class Ledger:
    """``violations`` is None until there is something to compare with."""

    def __init__(self) -> None:
        self.violations: int | None = None
        self._known: tuple[int, int] | None = None
        self._suspect: tuple[int, int] | None = None

    def judge(self, barrier: LedgerReading) -> int | None:
        """Takes a reading; of a violation the least number of objects it is about (too many: positive)."""
        now = barrier.bounds()
        if self._known is None:
            self._known = now
            return None
        self.violations = self.violations or 0
        if common := _common(self._known, now):
            self._known, self._suspect = common, None
            return None
        # An object can be between its tracepoint and its slab while it is read: the next reading decides.
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
