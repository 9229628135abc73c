# SPDX-License-Identifier: MIT
"""Barrier readings: live objects of the slab caches, those that no VMA holds, and the ledger's verdict on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lazyobs.kernel.ksm import shared_pages
from lazyobs.kernel.slab import Slabinfo
from lazyobs.kernel.slab_barrier import SlabBarrier
from lazyobs.model import Slab
from lazyobs.sources.ledger import LedgerReading
from lazyobs.sources.orphans import SLAB, OrphanReader, Orphans
from lazyobs.sources.slabs import slab_rows
from lazyobs.sources.source import Source


@dataclass(frozen=True)
class Barrier:
    """``orphans``: {cache: {column of the table slabs: value}}; ``lost``: objects of a violation found now, or None."""

    slabs: list[Slab]
    orphans: dict[str, dict[str, Any]]
    lost: int | None


class Barriers:
    """Takes one barrier reading after another."""

    def __init__(self, source: Source, slabinfo: Slabinfo, barrier: SlabBarrier) -> None:
        self._source, self._slabinfo, self._barrier = source, slabinfo, barrier
        self._orphans = OrphanReader(source, slabinfo, barrier)

    def read(self, when: float) -> Barrier | None:
        """At ``when``, seconds of the monotonic clock. None where the kernel refuses the shrink."""
        if not self._barrier.settle():
            return None
        slabs = slab_rows(self._slabinfo, self._slabinfo.read())
        try:
            found = self._orphans.read()
        except OSError as error:  # the next sample reports the failure, too
            return Barrier(slabs, {"anon_vma": {"orphans_reason": f"reading failed: {error}"}}, None)
        return Barrier(slabs, {one.cache: _columns(one) for one in found}, self._judged(when, found))

    def _judged(self, when: float, found: list[Orphans]) -> int | None:
        (anon_vma,) = (one for one in found if one.cache == "anon_vma")
        if anon_vma.source != SLAB or anon_vma.orphans is None or anon_vma.by_sites is None:
            return None
        reading = LedgerReading(
            when, anon_vma.orphans, anon_vma.by_sites, anon_vma.calm, anon_vma.everyone, shared_pages()
        )
        return self._source.judge(reading)


def _columns(found: Orphans) -> dict[str, Any]:
    return {
        "held": found.held,
        "orphans": found.orphans,
        "orphans_spread": found.spread,
        "orphans_source": found.source or None,
        "orphans_residual": found.residual,
        "orphans_reason": found.reason or None,
    }
