# SPDX-License-Identifier: MIT
"""Percentiles and slots of a sample's histograms. Slot i holds values above 2**(i-1) and up to 2**i units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lazyobs import text

Histogram = dict[str, Any]  # as in the JSON schema: buckets are cumulative

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def quantile(histogram: Histogram | None, q: float) -> float | None:
    """The upper bound of the bucket that holds the quantile; None without values, or above the last bound."""
    if not histogram or not histogram["count"]:
        return None
    rank = q * histogram["count"]
    for bound, count in histogram["buckets"]:
        if count >= rank and count > 0:
            return None if bound is None else float(bound)
    return None


def percentiles(histogram: Histogram | None) -> str:
    """``p50 1.02us  p90 ...  of 101``, ``-`` where it is not known."""
    if not histogram:
        return text.NULL
    values = "  ".join(f"{name} {text.seconds(quantile(histogram, q))}" for name, q in PERCENTILES.items())
    return f"{values}  of {text.number(histogram['count'])}"


def slots(histogram: Histogram | None, first: int, end: int) -> list[int]:
    """Counts of slots ``first`` to ``end`` - 1; values below or above count in the first or last of them."""
    if not histogram:
        return []
    counts = [0] * (end - first)
    before = 0
    for slot, (_, cumulative) in enumerate(histogram["buckets"]):
        counts[min(max(slot, first), end - 1) - first] += max(0, int(cumulative) - before)
        before = int(cumulative)
    return counts


def added(histograms: Iterable[Histogram | None]) -> Histogram | None:
    """The sum of histograms with the same buckets; None where none is known."""
    known = [histogram for histogram in histograms if histogram]
    if not known:
        return None
    buckets: Sequence[Any] = known[0]["buckets"]
    return {
        "buckets": [
            [bound, sum(histogram["buckets"][index][1] for histogram in known if index < len(histogram["buckets"]))]
            for index, (bound, _) in enumerate(buckets)
        ],
        "sum": sum(histogram["sum"] for histogram in known),
        "count": sum(histogram["count"] for histogram in known),
    }
