# SPDX-License-Identifier: MIT
"""From slots in the maps to counters of the schema: which slot speaks, and why one is silent."""

from __future__ import annotations

from collections.abc import Callable

from lazyobs import invariants
from lazyobs.bpf.points import POINTS
from lazyobs.bpf.session import Session
from lazyobs.bpf.slots import PROCESS_SLOTS
from lazyobs.kernel.profile import Profile
from lazyobs.model import COUNTERS, HISTOGRAM_SLOTS, HISTOGRAMS, Counter
from lazyobs.sources.why_not import unwatched, why_not_attached

# counter: [(probe point, slot)], the first attached point speaks.
_SLOTS: dict[str, tuple[tuple[str, str], ...]] = {
    "prepares": (("prepare", "prepares"), ("slab", "prepares_by_site")),
    "lazy_prepares": (("lazy_prepare", "lazy_prepares"),),
    "anon_vma_allocs": (("slab", "anon_vma_allocs"),),
    "anon_vma_frees": (("slab", "anon_vma_frees"),),
    "chain_allocs": (("slab", "chain_allocs"),),
    "chain_frees": (("slab", "chain_frees"),),
    "forks": (("process", "forks"),),
    "fork_chains": (("process", "fork_chains"),),
    "promotions": (("promotion", "promotions"),),
    "promotions_failed": (("promotion", "promotions_failed"),),
    "rmap_walks": (("rmap_walk", "rmap_walks"),),
    "rmap_walk_vmas": (("rmap_one", "rmap_walk_vmas"),),
}
_HISTOGRAM_POINTS = {
    "prepare_seconds": "prepare",
    "fork_seconds": "anon_vma_fork",
    "promotion_seconds": "promotion",
    "rmap_walk_seconds": "rmap_walk",
    "rmap_walk_vmas": "rmap_one",
}


class CounterTable:
    """For one session: {counter: slot} for those that are known, and the reason for each other one."""

    def __init__(self, session: Session, profile: Profile) -> None:
        self.slots: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self._session = session
        for name, sources in _SLOTS.items():
            for point, slot in sources:
                if session.tiers.get(point):
                    self.slots[name] = slot
                    break
            else:
                self.reasons[f"totals.{name}"] = why_not_attached(sources[0][0], session, profile)
        self._watch_invariants(session, profile)
        for histogram in HISTOGRAMS:
            point = _HISTOGRAM_POINTS[histogram.name]
            if not session.tiers.get(point):
                self.reasons[f"histograms.{histogram.name}"] = why_not_attached(point, session, profile)
        self._indices = {name: PROCESS_SLOTS.index(slot) for name, slot in self.slots.items()}
        self._zeros = {counter.name: 0 if counter.name in self._indices else None for counter in COUNTERS}

    def _watch_invariants(self, session: Session, profile: Profile) -> None:
        missing = unwatched(session, profile)
        self._watched = [name for name in invariants.IN_KERNEL if name not in missing]
        for name, why in missing.items():
            self.reasons[f"totals.violations_by_invariant.{name}"] = why
        if self._watched:
            self.slots["violations"] = "violations"
        else:
            self.reasons["totals.violations"] = (
                "no invariant can be watched in this command: see the reasons by invariant"
            )

    def of_process(self, counts: tuple[int, ...] | None) -> dict[str, int | None]:
        """Counters of one process from its slots; where it has caused nothing, zeros that all such share."""
        if counts is None:
            return self._zeros
        return {
            counter.name: _signed(counts[self._indices[counter.name]]) if counter.name in self._indices else None
            for counter in COUNTERS
        }

    def of_slots(self, counts: dict[str, int]) -> dict[str, int | None]:
        """Counters from a {slot: count} table."""
        return {
            counter.name: _signed(counts[self.slots[counter.name]]) if counter.name in self.slots else None
            for counter in COUNTERS
        }

    def divided(self, counts: dict[str, int]) -> dict[str, dict[str, int | None] | None]:
        """The counters that are split by a label: {key in totals: {label value: count}}."""
        return {counter.split_key: self._division(counter, counts) for counter in COUNTERS if counter.split}

    def _division(self, counter: Counter, counts: dict[str, int]) -> dict[str, int | None] | None:
        if counter.split == "invariant":
            return {name: counts[f"violations_{name}"] if name in self._watched else None for name in counter.values}
        if counter.name not in self.slots or (counter.split == "reason" and not self._session.knows_reason):
            return None
        return {value: counts[f"{counter.name}_{value}"] for value in counter.values}

    def histograms(self, read: Callable[[], dict[str, tuple[int, list[int]]]]) -> dict[str, dict[str, object] | None]:
        """Histograms of the schema; ``read`` is only called when a point that feeds one is attached."""
        known = {h.name for h in HISTOGRAMS if self._session.tiers.get(_HISTOGRAM_POINTS[h.name])}
        raw = read() if known else {}
        found: dict[str, dict[str, object] | None] = {}
        for histogram in HISTOGRAMS:
            for series in histogram.series():
                found[series] = (
                    _buckets(*raw[series], 1e-9 if histogram.unit == "seconds" else 1.0)
                    if histogram.name in known
                    else None
                )
        return found


def _signed(count: int) -> int:
    # A count that is taken back (a prepare that lost its race) can be seen before what it takes back.
    return 0 if count >> 63 else count


def _buckets(total: int, slots: list[int], unit: float) -> dict[str, object]:
    """Cumulative buckets; the upper bound of slot i is 2**i, the last one is unbounded (null)."""
    cumulative, buckets = 0, []
    for slot, count in enumerate(slots):
        cumulative += count
        bound = (1 << slot) * unit if slot < HISTOGRAM_SLOTS - 1 else None
        buckets.append([bound, cumulative])
    return {"buckets": buckets, "sum": total * unit, "count": cumulative}


def required_missing(session: Session) -> int:
    """Required probe points that did not attach."""
    return sum(1 for point in POINTS if point.required and session.tiers.get(point.name) is None)
