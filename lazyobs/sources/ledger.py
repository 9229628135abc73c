# SPDX-License-Identifier: MIT
"""The ledger of anon_vma objects: are there more and more live ones that no VMA holds?

What is judged are the orphans of barrier readings (sources/orphans.py), and of those only calm ones: nothing on the
machine was allocated or freed meanwhile, and all readings of the barrier agree. A process on its way in or out can be
in a calm reading, too, if the exit of a large one takes long, but not in all of several that lie apart. See
lazyobs/invariants.py for what that leaves unseen.
"""

from __future__ import annotations

from dataclasses import dataclass

_READINGS = 3  # calm ones, with none between them that says otherwise
_SECONDS = 20.0  # between the first and the last of them


@dataclass(frozen=True)
class LedgerReading:
    """``orphans`` of a barrier, by slabinfo; ``by_sites``: the same by call sites, from any base; ``when``: seconds of
    a clock that is never set.

    ``everyone``: the iterator visits all tasks. Where the kernel hides some from BPF, the VMAs of those are
    orphans, but no probe sees them allocate. ``ksm``: pages that KSM shares, each of which can hold an anon_vma.
    """

    when: float
    orphans: int
    by_sites: int
    calm: bool
    everyone: bool
    ksm: int = 0


class Ledger:
    """``violations`` is None until there is a previous reading to compare with."""

    def __init__(self) -> None:
        self.violations: int | None = None
        self._base: tuple[int, int] | None = None  # lowest orphans by slabinfo, by call sites
        self._risen: list[tuple[float, int]] = []  # (when, by how much): calm readings above the base

    def judge(self, now: LedgerReading) -> int | None:
        """Checks a reading; for a violation, returns the number of objects that are lost."""
        if self._base is None:
            self._base = now.orphans, now.by_sites
            return None
        self.violations = self.violations or 0
        slab, sites = self._base
        self._base = min(slab, now.orphans), min(sites, now.by_sites)
        rise = now.orphans - slab if now.everyone else min(now.orphans - slab, now.by_sites - sites)
        rise -= now.ksm
        if rise <= 0:
            self._risen.clear()
        elif now.calm:
            self._risen.append((now.when, rise))
        elif self._risen:  # no more than that can be lost, but whether it is not known
            self._risen = [(when, min(before, rise)) for when, before in self._risen]
        return self._confirmed(now.when)

    def _confirmed(self, when: float) -> int | None:
        if len(self._risen) < _READINGS or when - self._risen[0][0] < _SECONDS:
            return None
        assert self._base is not None and self.violations is not None
        lost = min(rise for _, rise in self._risen)
        self._base = self._base[0] + lost, self._base[1] + lost
        self.violations += 1
        self._risen.clear()
        return lost
