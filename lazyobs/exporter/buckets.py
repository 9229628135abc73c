# SPDX-License-Identifier: MIT
"""Histogram buckets of the metrics: a subset of the schema's slots, the same on every machine, for ever.

Quantiles over a fleet and over years need equal bounds everywhere, so these are never configurable and
never change. Each is the upper bound of a slot (2**i), hence exact: nothing is interpolated here.
"""

from __future__ import annotations

from typing import Any

from lazyobs.model import HISTOGRAM_BUCKETS

# Powers of two nanoseconds: 256 ns, then a factor of 4 up to 67 ms, and 1.07 s.
SECONDS_SLOTS = (8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 30)
# VMAs: 1, 2, 4, 16, 64, 256, 1024, 4096.
VMAS_SLOTS = (0, 1, 2, 4, 6, 8, 10, 12)

_SLOTS = {"seconds": SECONDS_SLOTS, "vmas": VMAS_SLOTS}


def bounds(unit: str) -> tuple[str, ...]:
    """Values of the label ``le`` for histograms of "seconds" or "vmas"."""
    unit_size = 1e9 if unit == "seconds" else 1.0
    return (*(repr((1 << slot) / unit_size) for slot in _SLOTS[unit]), "+Inf")


def chosen(histogram: dict[str, Any], unit: str) -> list[tuple[str, float]]:
    """[(le, cumulative count)] of one histogram of a Sample. ValueError where its slots are not the schema's."""
    slots = histogram["buckets"]
    if len(slots) != HISTOGRAM_BUCKETS:
        raise ValueError(f"a histogram of {len(slots)} slots, not {HISTOGRAM_BUCKETS}")
    counts = [slots[slot][1] for slot in (*_SLOTS[unit], HISTOGRAM_BUCKETS - 1)]
    return list(zip(bounds(unit), counts))


def added(histograms: list[dict[str, Any]]) -> dict[str, Any]:
    """One histogram of several."""
    return {
        "buckets": [
            [slots[0][0], sum(count for _, count in slots)] for slots in zip(*(h["buckets"] for h in histograms))
        ],
        "sum": sum(h["sum"] for h in histograms),
        "count": sum(h["count"] for h in histograms),
    }
