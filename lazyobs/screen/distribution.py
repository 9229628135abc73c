# SPDX-License-Identifier: MIT
"""Histograms of a sample for the eye: quantiles and slots. Slot i holds what is above 2**(i-1) and up to 2**i units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Histogram = dict[str, Any]


def _single(histogram: Histogram) -> list[int]:
    """Counts of each bucket by itself."""
    before, found = 0, []
    for _, count in histogram["buckets"]:
        found.append(max(0, int(count) - before))
        before = int(count)
    return found


def quantile(histogram: Histogram | None, q: float) -> float | None:
    """The upper bound of the bucket in which that share is reached; None without any value, or above the last bound."""
    if not histogram or not histogram["count"]:
        return None
    wanted = q * histogram["count"]
    for bound, count in histogram["buckets"]:
        if count >= wanted and count > 0:
            return None if bound is None else float(bound)
    return None


def slots(histogram: Histogram | None, first: int, end: int) -> list[int]:
    """Counts of slots ``first`` to ``end`` - 1; what lies below or above is counted at the edge."""
    if not histogram:
        return []
    counts = _single(histogram)
    found = [0] * (end - first)
    for slot, count in enumerate(counts):
        found[min(max(slot, first), end - 1) - first] += count
    return found


def added(histograms: Iterable[Histogram | None]) -> Histogram | None:
    """Histograms of one layout as one; None where none is known."""
    known = [histogram for histogram in histograms if histogram]
    if not known:
        return None
    buckets: Sequence[Any] = known[0]["buckets"]
    return {
        "buckets": [
            [bound, sum(one["buckets"][index][1] for one in known if index < len(one["buckets"]))]
            for index, (bound, _) in enumerate(buckets)
        ],
        "sum": sum(one["sum"] for one in known),
        "count": sum(one["count"] for one in known),
    }
