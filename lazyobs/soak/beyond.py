# SPDX-License-Identifier: MIT
"""Live objects beyond those that the workload explains, a column for each way to explain them."""

from __future__ import annotations

import numpy as np

from lazyobs.soak import per_vma
from lazyobs.soak.counts import BARRIER, Counts
from lazyobs.soak.series import Column
from lazyobs.soak.trend import blocks, effective_points

_ROUNDS = 12  # of the iterated weights
_RHO = 0.5  # assumed of changes of the objects and of the workload, for the bounds of the rate


def unexplained(counts: Counts, measure: str, origin: float) -> list[Column]:
    """Objects beyond what ``measure`` explains; ``origin``: when the recording began, before the warm-up. One column
    where the level of the objects is known (the difference itself where each VMA is one object); where only changes are, one at the lowest rate per unit of the workload and
    one at the highest: the truth lies between (per_vma.py)."""
    workload = counts.measures[measure]
    if counts.exact and measure == "VMAs":
        return [counts.live - workload]
    if counts.source == BARRIER:
        return [beyond(counts.times - origin, counts.live, workload)]
    times, live, held = (blocks(values) for values in (counts.times, counts.live, workload))
    regular = counts.measures.get("regular anonymous VMAs", workload)
    most = per_vma.MOST * float(np.median(regular)) / float(np.median(workload))
    rates = per_vma.bounds_of(live, held, times, most, effective_points(len(times), _RHO))
    return [counts.live - rate * (workload - workload[0]) for rate in rates]


def beyond(passed: Column, live: Column, workload: Column) -> Column:
    """Objects beyond those that the workload has at its usual rate; ``passed``: seconds since the recording began.

    The model is live = rate x workload + slope x passed, divided by the workload, because the noise grows with it. Rate
    and slope are fitted together, so that a leak does not raise the rate, by least absolute deviations, which a third of
    the points can be wrong without moving: iterated weights (Schlossmacher, JASA 68 (1973) 857).
    """
    ratio = blocks(live / workload)
    columns = np.column_stack([np.ones(len(ratio)), blocks(passed / workload)])
    columns = columns / np.maximum(np.abs(columns).max(axis=0), 1e-300)
    weights = np.ones(len(ratio))
    found = np.zeros(2)
    for _ in range(_ROUNDS):
        found, *_ = np.linalg.lstsq(columns * weights[:, None], ratio * weights, rcond=None)
        rest = np.abs(ratio - columns @ found)
        weights = 1 / np.sqrt(np.maximum(rest, 1e-3 * float(np.median(rest)) + 1e-12))
    result: Column = live - found[0] * workload
    return result
