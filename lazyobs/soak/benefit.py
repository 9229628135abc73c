# SPDX-License-Identifier: MIT
"""What laziness saves: bytes with an interval, and the table by which the kernel series describes itself.

Within one recording the mean over time is what is estimated, from samples that follow each other closely: its error is
that of the medians of blocks, corrected for the autocorrelation that is left (Wilks 2011, 5.2.4).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from lazyobs import text
from lazyobs.kernel.slab import CACHES
from lazyobs.soak.columns import at, settled
from lazyobs.soak.counts import live_objects
from lazyobs.soak.series import Column, Series
from lazyobs.soak.thresholds import Thresholds
from lazyobs.soak.trend import autocorrelation
from lazyobs.soak.verdict import Finding, ResultTable
from lazyobs.sources.account import CACHES as OBJECTS

HEADINGS = ("cache", "before", "after", "change", "source")
_BLOCKS = 24


class Mean(NamedTuple):
    """Of a series over time, with an interval."""

    estimate: float
    low: float
    high: float


def mean_over_time(values: Column, confidence: float) -> Mean | None:
    """None for fewer than two known values; without an interval (NaN) where there are fewer than eight."""
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return None
    estimate = float(values.mean())
    edges = np.linspace(0, len(values), min(_BLOCKS, len(values)) + 1).astype(int)
    means = np.array([values[begin:end].mean() for begin, end in pairwise(edges)])
    if len(means) < 8:
        return Mean(estimate, np.nan, np.nan)
    rho = autocorrelation(means - means.mean())
    worth = max(len(means) * (1 - rho) / (1 + rho), 2.0)
    degrees = max(worth, len(means) / 4) - 1
    reach = float(stats.t.isf((1 - confidence) / 2, degrees) * means.std(ddof=1) / np.sqrt(worth))
    return Mean(estimate, estimate - reach, estimate + reach)


def findings(series: Series, thresholds: Thresholds) -> list[Finding]:
    """Bytes saved (lazy kernels) and savable, each as a mean over time after the warm-up."""
    keep = settled(series.samples["time"], thresholds)
    results = []
    for name, word in (("saved_bytes", "saved"), ("savable_bytes", "savable")):
        mean = mean_over_time(series.samples[name][keep], thresholds.leak["confidence"])
        if mean is None:
            continue
        if name == "savable_bytes":
            mean = mean._replace(low=max(mean.low, 0.0))
        shown, interval = text.size(mean.estimate), "no interval: too few samples"
        if np.isfinite(mean.low):
            shown, low, high = text.sizes(*mean)
            interval = f"{thresholds.leak['confidence']:.0%} interval {low} to {high}"
        numbers = {**mean._asdict(), "unit": "bytes"}
        results.append(Finding("benefit", name.replace("_", " "), "", f"{shown} {word} on average ({interval})", series.name, numbers))  # fmt: skip
    return results


def table(series: Series, thresholds: Thresholds) -> ResultTable | None:
    """KB of each cache with and without laziness: one measured, the other by the census of the same moments.

    ``before`` is always without. None where neither the objects nor the census are known.
    """
    lazy = (series.last.get("kernel") or {}).get("lazy_enabled")
    rows: list[tuple[Any, ...]] = []
    levels: dict[str, float] = {}  # bytes there, by barrier samples
    for cache in CACHES:
        found = live_objects(series, cache)
        each = series.object_bytes.get(cache)
        if found is None or each is None:
            rows.append((cache, None, None, None, "not known here"))
            continue
        times, live, source = found
        keep = settled(times, thresholds)
        spared = at(series.samples["time"], _spared(series, cache, bool(lazy)), times[keep])
        live, spared = live[keep][np.isfinite(live[keep])], spared[np.isfinite(spared)]
        if not lazy and cache in OBJECTS and len(live) and source == "barrier":
            levels[cache] = float(np.median(live)) * each
            rows.append(
                (cache, kilobytes(levels[cache]), None, None, "barrier samples; what is savable is of both caches")
            )
            continue
        if not len(live) or not len(spared):
            rows.append((cache, None, None, None, "not known here: no census, or no counts after the warm-up"))
            continue
        bytes_there, bytes_spared = float(np.median(live)) * each, float(np.median(spared))
        if source != "barrier":
            # Allocations less frees say how the level moved since the recording began, not where it stands.
            spares = f"laziness {'spares' if lazy else 'would spare, in both caches,'} {kilobytes(bytes_spared)} KB by the census"
            merged = len(series.barriers["time"]) > 0
            why = "its slabinfo row is shared (slab_nomerge parts them)" if merged else "no barrier samples"
            rows.append((cache, None, None, None, f"level not known: {why}; {spares}"))
            continue
        before, after = (bytes_there + bytes_spared, bytes_there) if lazy else (bytes_there, bytes_there - bytes_spared)
        change = text.percent((after - before) / before) if before > 0 else None
        which = "before" if lazy else "after"
        rows.append((cache, kilobytes(before), kilobytes(after), change, f"barrier samples; {which} by the census"))
    if len(levels) == len(OBJECTS):
        rows.insert(0, _together(series, sum(levels.values()), thresholds))
    if all(row[1] is None for row in rows):
        return None
    return ResultTable(f"{series.name}: slab KB without and with laziness", HEADINGS, tuple(rows))


def _together(series: Series, there: float, thresholds: Thresholds) -> tuple[Any, ...]:
    """The row of both caches on a kernel that is not lazy: the census counts what is savable in sum alone."""
    savable = series.samples["savable_bytes"][settled(series.samples["time"], thresholds)]
    savable = savable[np.isfinite(savable)]
    name = " and ".join(OBJECTS)
    if not len(savable):
        return (name, kilobytes(there), None, None, "barrier samples; what is savable is not known")
    after = max(there - float(np.median(savable)), 0.0)
    change = text.percent((after - there) / there) if there > 0 else None
    return (name, kilobytes(there), kilobytes(after), change, "barrier samples; after by the census")


def _spared(series: Series, cache: str, lazy: bool) -> Column:
    """Bytes that laziness spares in that cache, as lazyobs/sources/savings.py reckons; or would, in both caches."""
    samples = series.samples
    if cache == "vm_area_struct":
        return np.zeros(len(samples["time"]))
    if not lazy:
        return samples["savable_bytes"]
    chains = samples["vmas_lazy"] * series.object_bytes.get("anon_vma_chain", 0)
    return chains if cache == "anon_vma_chain" else samples["saved_bytes"] - chains


def kilobytes(size: float) -> float:
    return round(size / 1024, 2) + 0.0  # no negative zero
