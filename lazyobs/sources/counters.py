# SPDX-License-Identifier: MIT
"""Converts counts in the maps to counters of the schema: the source of each counter, or why it is null."""

from __future__ import annotations

from collections.abc import Callable

from lazyobs import invariants
from lazyobs.bpf.counts import PROCESS_COUNTS
from lazyobs.bpf.points import POINTS
from lazyobs.bpf.session import Session
from lazyobs.kernel.profile import Profile
from lazyobs.model import COUNTERS, HISTOGRAM_BUCKETS, HISTOGRAMS, Counter
from lazyobs.sources.why_not import counted_as, unwatched

_BY_INVARIANT = "invariant"  # counters split by invariant depend on which invariants are watched, not on a probe point


class CounterTable:
    """For one session: ``counts``, {known counter: its name in the maps}, and ``reasons``, {other counter: why it is
    null}.
    """

    def __init__(self, session: Session, profile: Profile) -> None:
        self._session, self._profile = session, profile
        self._last_buckets: dict[str, tuple[tuple[int, list[int]], dict[str, object]]] = {}
        self.refresh()

    def refresh(self) -> None:
        """To be called where other points are attached than before: the budget sheds some and takes them back."""
        session, profile = self._session, self._profile
        self.counts: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        for counter in COUNTERS:
            if counter.split == _BY_INVARIANT:
                continue
            found, why = counted_as(counter.name, session, profile)
            if found:
                self.counts[counter.name] = found
            else:
                self.reasons[f"totals.{counter.name}"] = why
        self._watch_invariants(session, profile)
        known_histograms: set[str] = set()
        for histogram in HISTOGRAMS:
            found, why = counted_as(histogram.name, session, profile)
            if found:
                known_histograms.add(histogram.name)
            else:
                self.reasons[f"histograms.{histogram.name}"] = why
        self._known_histograms = frozenset(known_histograms)
        self._indices = {name: PROCESS_COUNTS.index(count) for name, count in self.counts.items()}
        self._zeros = {counter.name: 0 if counter.name in self._indices else None for counter in COUNTERS}

    def _watch_invariants(self, session: Session, profile: Profile) -> None:
        missing = unwatched(session, profile)
        self._watched = [name for name in invariants.IN_KERNEL if name not in missing]
        for name, why in missing.items():
            self.reasons[f"totals.violations_by_invariant.{name}"] = why
        if self._watched:
            self.counts["violations"] = "violations"
        else:
            self.reasons["totals.violations"] = (
                "no invariant can be watched in this command: see the reasons by invariant"
            )

    @property
    def known(self) -> frozenset[str]:
        """Counters and histograms of the schema that are known."""
        return self._known_histograms | self.counts.keys()

    def of_process(self, counts: tuple[int, ...] | None) -> dict[str, int | None]:
        """Counters of a process from its entry; a process without an entry has caused nothing, and gets shared zeros."""
        if counts is None:
            return self._zeros
        return {
            counter.name: _signed(counts[self._indices[counter.name]]) if counter.name in self._indices else None
            for counter in COUNTERS
        }

    def of_counts(self, counts: dict[str, int]) -> dict[str, int | None]:
        """Counters from {name of a count: its value}."""
        return {
            counter.name: _signed(counts[self.counts[counter.name]]) if counter.name in self.counts else None
            for counter in COUNTERS
        }

    def divided(self, counts: dict[str, int]) -> dict[str, dict[str, int | None] | None]:
        """The counters that are split by a label: {key in totals: {label value: count}}."""
        return {counter.split_key: self._division(counter, counts) for counter in COUNTERS if counter.split}

    def _division(self, counter: Counter, counts: dict[str, int]) -> dict[str, int | None] | None:
        if counter.split == "invariant":
            return {name: counts[f"violations_{name}"] if name in self._watched else None for name in counter.values}
        if counter.name not in self.counts or (counter.split == "reason" and not self._session.knows_reason):
            return None
        return {value: counts[f"{counter.name}_{value}"] for value in counter.values}

    def histograms(self, read: Callable[[], dict[str, tuple[int, list[int]]]]) -> dict[str, dict[str, object] | None]:
        """Histograms of the schema; ``read`` is only called if a point that feeds a histogram is attached."""
        known = self._known_histograms
        raw = read() if known else {}
        found: dict[str, dict[str, object] | None] = {}
        for histogram in HISTOGRAMS:
            unit = 1e-9 if histogram.unit == "seconds" else 1.0
            for series in histogram.series():
                found[series] = self._buckets(series, raw[series], unit) if histogram.name in known else None
        return found

    def _buckets(self, series: str, raw: tuple[int, list[int]], unit: float) -> dict[str, object]:
        """Those of the last call where nothing was added: most series stand still between two samples."""
        before = self._last_buckets.get(series)
        if before is None or before[0] != raw:
            before = self._last_buckets[series] = raw, _buckets(*raw, unit)
        return before[1]


def _signed(count: int) -> int:
    # A decrement (for a prepare that lost its race) can become visible before the increment it reverses.
    return 0 if count >> 63 else count


def _buckets(total: int, counts: list[int], unit: float) -> dict[str, object]:
    """Cumulative buckets; the upper bound of bucket i is 2**i, the last bucket is unbounded (null)."""
    cumulative, buckets = 0, []
    for bucket, count in enumerate(counts):
        cumulative += count
        bound = (1 << bucket) * unit if bucket < HISTOGRAM_BUCKETS - 1 else None
        buckets.append([bound, cumulative])
    return {"buckets": buckets, "sum": total * unit, "count": cumulative}


def required_missing(session: Session) -> int:
    """Required probe points that did not attach."""
    return sum(1 for point in POINTS if point.required and session.tiers.get(point.name) is None)
