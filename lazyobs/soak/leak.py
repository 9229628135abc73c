# SPDX-License-Identifier: MIT
"""Whether kernel objects pile up: live anon_vmas, chains and VMAs beyond what the workload explains.

More processes have more VMAs, and more VMAs more anon_vmas: that is no leak. So the live objects are compared
with each measure of the workload (VMAs that have an anon_vma, VMAs, processes), and a leak has to
outgrow every one of them: an intersection-union test (Berger 1982), which needs no correction for the
number of measures. Over caches and recordings the smallest p-values are corrected after Holm (1979).
The null hypothesis is not "no slope" but "no slope above the floor": what is found matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from lazyobs.kernel.slab import CACHES
from lazyobs.soak.columns import at, settled
from lazyobs.soak.series import Column, Series
from lazyobs.soak.thresholds import Thresholds
from lazyobs.soak.trend import Trend, blocks, trend
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS, Finding

LEDGER = {"anon_vma": "anon_vma", "anon_vma_chain": "chain"}  # cache: counters <name>_allocs and <name>_frees
_ROUNDS = 4
_SHRUNK = 0.9  # of a measure of the workload: below that fewer objects are no surprise


@dataclass(frozen=True)
class LeakTest:
    """One cache of one recording. ``trends`` by measure of the workload; ``live``: median of the objects."""

    recording: str
    cache: str
    source: str  # "barrier" or "ledger"
    trends: dict[str, Trend]
    live: float
    floor: float  # objects per second
    fell: bool  # there are fewer objects than before, because the workload shrank

    @property
    def first(self) -> tuple[str, Trend]:
        """The measure that is nearest to the objects: what is shown, and what PASS rests on."""
        return next(iter(self.trends.items()))

    @property
    def explaining(self) -> list[str]:
        """Measures of the workload that grew with the objects, so far as can be told."""
        return [name for name, trend in self.trends.items() if trend.slope <= self.floor]

    @property
    def p(self) -> float:
        """Of the intersection-union test: the largest over the measures."""
        return 1.0 if self.fell else max(trend.p_above(self.floor) for trend in self.trends.values())


def live_objects(series: Series, cache: str) -> tuple[Column, Column, str] | None:
    """(times, live objects, source); barrier rows where the cache has one of its own, else the exact ledger,
    which begins with 0 at the first sample."""
    rows = series.barriers.get(cache)
    if rows is not None and np.isfinite(rows).sum() >= 2:
        return series.barriers["time"], rows, "barrier"
    name = LEDGER.get(cache)
    if name is not None:
        change = series.samples[f"{name}_allocs"] - series.samples[f"{name}_frees"]
        if np.isfinite(change).sum() >= 2:
            return series.samples["time"], change, "ledger"
    return None


def test(series: Series, cache: str, thresholds: Thresholds) -> LeakTest | None:
    """None where nothing counts the live objects of that cache, or too few times."""
    found = live_objects(series, cache)
    if found is None:
        return None
    times, live, source = found
    keep = settled(times, thresholds) & np.isfinite(live)
    begin, times, live = float(times[0]) if len(times) else 0.0, times[keep], live[keep]
    if len(times) < thresholds.gate["barriers"]:
        return None
    trends: dict[str, Trend] = {}
    measures = _measures(series, cache, times)
    for name, workload in measures.items():
        slope = trend(
            times, beyond(times - begin, live, workload) if source == "barrier" else _detached(live, workload)
        )
        if slope is not None:
            trends[name] = slope
    if not trends:
        return None
    level = float(np.median(live if source == "barrier" else np.abs(live)))
    rules = thresholds.leak
    floor = max(rules["objects_per_second"], rules["share_per_hour"] * level / 3600)
    shrank = any(_quiet(workload)[1] < _SHRUNK * _quiet(workload)[0] for workload in measures.values())
    return LeakTest(series.name, cache, source, trends, level, floor, shrank and _quiet(live)[1] < _quiet(live)[0])


def _measures(series: Series, cache: str, times: Column) -> dict[str, Column]:
    """Of the workload, at those times; those that are unknown or 0 are left out."""
    samples = series.samples
    regular = samples["vmas_anon"] - samples["vmas_lazy"]
    names = {"VMAs": samples["vmas"], "processes": samples["processes"]}
    if cache != "vm_area_struct":
        names = {"regular anonymous VMAs": regular} | names
    found = {name: at(samples["time"], values, times) for name, values in names.items()}
    return {name: values for name, values in found.items() if np.isfinite(values).all() and values.min() > 0}


def _quiet(values: Column) -> tuple[float, float]:
    """The least of the first third, and of the last: bursts come and go, the rest is what stays."""
    third = max(len(values) // 3, 1)
    return float(values[:third].min()), float(values[-third:].min())


def beyond(passed: Column, live: Column, workload: Column) -> Column:
    """Objects beyond those that the workload has at its usual rate; ``passed``: seconds since the recording began.

    The rate is the median of live / workload after the slope is taken off, the slope that of what is beyond the rate:
    in turns, because a leak raises the one and bursts blur the other.
    """
    slope = float(stats.theilslopes(blocks(live / workload) * np.median(workload), blocks(passed)).slope)
    for _ in range(_ROUNDS):
        rate = np.median((live - slope * passed) / workload)
        rest = live - rate * workload
        before, slope = slope, float(stats.theilslopes(blocks(rest), blocks(passed)).slope)
        if abs(slope - before) <= 0.01 * abs(before):
            break
    rate = np.median((live - slope * passed) / workload)
    result: Column = live - rate * workload
    return result


def _detached(change: Column, workload: Column) -> Column:
    """The same from a ledger, whose level is not known: the rate comes from how both move together."""
    moved = np.diff(blocks(workload))
    by = np.diff(blocks(change))
    power = float(moved @ moved)
    rate = max(float(moved @ by) / power, 0.0) if power else 0.0
    result: Column = change - rate * (workload - workload[0])
    return result


def findings(all_series: list[Series], thresholds: Thresholds) -> list[Finding]:
    """One for each recording and cache."""
    tests = [(series, cache, test(series, cache, thresholds)) for series in all_series for cache in CACHES]
    made = [found for _, _, found in tests if found is not None]
    adjusted = dict(zip(map(id, made), holm([found.p for found in made])))
    results = []
    for series, cache, found in tests:
        if found is None:
            results.append(_untested(series, cache, thresholds))
        else:
            results.append(_finding(found, adjusted[id(found)], thresholds))
    return results


def _untested(series: Series, cache: str, thresholds: Thresholds) -> Finding:
    rows = live_objects(series, cache)
    if rows is None:
        merged = (series.identity.get("slab_merging") or {}).get(cache) or []
        why = f"shares its slab with {', '.join(merged)}" if merged else "no barrier samples"
        return Finding("leak", f"{cache} objects", INCONCLUSIVE, f"live objects are not known ({why})", series.name)  # fmt: skip
    need = int(thresholds.gate["barriers"])
    have = int((settled(rows[0], thresholds) & np.isfinite(rows[1])).sum())
    why = f"{have} counts of live objects after the warm-up, {need} are needed" if have < need else "the workload is not known"  # fmt: skip
    return Finding("leak", f"{cache} objects", INCONCLUSIVE, why, series.name, {"points": have})


def _finding(found: LeakTest, p: float, thresholds: Thresholds) -> Finding:
    measure, slope = found.first
    confidence = thresholds.leak["confidence"]
    low, high = slope.bounds(1 - confidence)
    _, most = slope.bounds(2 * (1 - confidence))
    if p < thresholds.leak["alpha"]:
        outcome, word = FAIL, "they pile up"
    elif most < found.floor:
        outcome, word = PASS, f"no leak of {found.floor:.3g}/s or more"
    elif slope.slope > found.floor and found.explaining:
        outcome, word = INCONCLUSIVE, f"they grew no faster than {' and '.join(found.explaining)}"
    else:
        outcome, word = INCONCLUSIVE, f"a leak of {found.floor:.3g}/s is neither shown nor ruled out"
    text = (
        f"{slope.slope:+.3g} objects/s ({confidence:.0%} interval {low:.3g} to {high:.3g}) beyond what "
        f"{measure} explain, {_level(found)}: {word}"
    )
    numbers = {
        "estimate": slope.slope, "low": low, "high": high, "p": p, "floor": found.floor, "live": found.live,
        "autocorrelation": slope.rho, "points": slope.points, "measure": measure, "source": found.source,
        "unit": "objects/s",
    }  # fmt: skip
    return Finding("leak", f"{found.cache} objects", outcome, text, found.recording, numbers)


def _level(found: LeakTest) -> str:
    if found.source == "ledger":
        return "by allocations less frees"
    return f"with {found.live:.0f} live in barrier samples"


def holm(values: list[float]) -> list[float]:
    """Adjusted p-values, in the order given (Holm 1979)."""
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted = [0.0] * len(values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, values[index] * (len(values) - rank)))
        adjusted[index] = highest
    return adjusted
