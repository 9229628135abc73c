# SPDX-License-Identifier: MIT
"""Live objects of one cache over a recording, beside each measure of the workload that holds them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lazyobs.soak.columns import at, growth
from lazyobs.soak.series import Column, Series

LEDGER = {"anon_vma": "anon_vma", "anon_vma_chain": "chain"}  # cache: counters <name>_allocs and <name>_frees
BARRIER, ALLOCATIONS = "barrier", "ledger"
_LATE_GAPS = 1.5  # usual distances of two counts that may lie between the last one and the end
_NEARBY = 1.5  # usual distances of two counts, within which the census has to be known
_CARRIED = 0.03  # share of the recording that allocations less frees may carry the last count on


@dataclass(frozen=True)
class Counts:
    """``times`` (unix seconds), ``live`` and each measure are of one length, all known. ``source`` BARRIER: ``live``
    is the number of objects; ALLOCATIONS: how it changed since the first count. ``uncovered``: seconds at the end of
    the recording that no count sees; 0 where they are too few to matter. ``exact``: the first measure is these very
    objects, each VMA one, so that only a constant lies between the two (processes that are not visited). ``unsure``:
    objects by which allocations less frees may be wrong by the end."""

    times: Column
    live: Column
    measures: dict[str, Column]
    source: str
    uncovered: float
    exact: bool = False
    unsure: float = 0.0

    @property
    def first(self) -> tuple[str, Column]:
        """The measure that is nearest to the objects."""
        return next(iter(self.measures.items()))

    def last(self, points: int) -> Counts:
        """The last so many counts."""
        return self._part(slice(-points, None))

    def without_last(self, points: int) -> Counts:
        """All but the last so many counts."""
        return self._part(slice(None, -points))

    def _part(self, part: slice) -> Counts:
        measures = {name: values[part] for name, values in self.measures.items()}
        return replace(self, times=self.times[part], live=self.live[part], measures=measures)


def live_objects(series: Series, cache: str) -> tuple[Column, Column, str] | None:
    """(times, live objects, source); barrier rows where the cache has one of its own, else allocations less frees,
    which begin with 0 at the first sample."""
    rows = series.barriers.get(cache)
    if rows is not None and np.isfinite(rows).sum() >= 2:
        return series.barriers["time"], rows, BARRIER
    if cache in LEDGER:
        change = _change(series, cache)
        if np.isfinite(change).sum() >= 2:
            return series.samples["time"], change, ALLOCATIONS
    return None


def counts(series: Series, cache: str) -> Counts | None:
    """None where nothing counts the live objects, or no measure of the workload is known."""
    found = live_objects(series, cache)
    if found is None:
        return None
    times, live, source = found
    known = np.isfinite(live)
    times, live = times[known], live[known]
    end = float(series.samples["time"][-1]) if len(series.samples["time"]) else float(times[-1])
    usual = float(np.median(np.diff(times)))
    if source == BARRIER and 0 < end - times[-1] <= max(2 * usual, _CARRIED * (end - float(times[0]))):
        times, live = _carried_on(series, cache, times, live)
    measures = _measures(series, cache, times, usual)
    if not measures:
        return None
    whole = np.logical_and.reduce([np.isfinite(values) for values in measures.values()])
    times, live = times[whole], live[whole]
    measures = {name: values[whole] for name, values in measures.items()}
    measures = {name: values for name, values in measures.items() if len(values) and values.min() > 0}
    if len(times) < 2 or not measures:
        return None
    behind = end - float(times[-1])
    late = behind > _LATE_GAPS * usual
    unsure = _unsure(series, cache) if source == ALLOCATIONS else 0.0
    return Counts(times, live, measures, source, behind if late else 0.0, cache == "vm_area_struct", unsure)


def _carried_on(series: Series, cache: str, times: Column, live: Column) -> tuple[Column, Column]:
    """With one count more, at the last sample: allocations less frees since the last barrier are exact."""
    if cache not in LEDGER:
        return times, live
    change, when = _change(series, cache), series.samples["time"]
    known = np.isfinite(change)
    if not known.any() or when[known][0] > times[-1] or when[known][-1] <= times[-1]:
        return times, live
    before, after = (float(value) for value in at(when, change, np.array([times[-1], when[known][-1]])))
    return np.append(times, when[known][-1]), np.append(live, live[-1] + after - before)


def _change(series: Series, cache: str) -> Column:
    name = LEDGER[cache]
    change: Column = series.samples[f"{name}_allocs"] - series.samples[f"{name}_frees"]
    return change


def _unsure(series: Series, cache: str) -> float:
    """By how many objects allocations less frees may be wrong: skipped runs of the probes count neither, and where another
    cache is counted both ways, the two counts of it drift apart by as much as ours may, for each allocation."""
    skipped = growth(series.samples, "health_recursion_misses") or 0.0
    drifts = [_drift(series, other) * _ratio(series, cache, other) for other in LEDGER if other != cache]
    return max(skipped, *drifts)


def _drift(series: Series, cache: str) -> float:
    """Objects by which barrier counts and allocations less frees drift apart, from the first third to the last."""
    rows, change = series.barriers.get(cache), _change(series, cache)
    if rows is None or not np.isfinite(change).any():
        return 0.0
    apart = rows - at(series.samples["time"], change, series.barriers["time"])
    apart = apart[np.isfinite(apart)]
    third = len(apart) // 3
    return abs(float(np.median(apart[-third:]) - np.median(apart[:third]))) if third else 0.0


def _ratio(series: Series, cache: str, other: str) -> float:
    """Allocations of the one for each of the other."""
    made = growth(series.samples, f"{LEDGER[cache]}_allocs"), growth(series.samples, f"{LEDGER[other]}_allocs")
    return made[0] / made[1] if made[0] and made[1] else 1.0


def _measures(series: Series, cache: str, times: Column, usual: float) -> dict[str, Column]:
    """Of the workload, at those times; without those that are never known. NaN where the census has a hole
    (counts are ``usual`` seconds apart): a load that changed there would look like lost objects."""
    samples = series.samples
    regular = samples["vmas_anon"] - samples["vmas_lazy"]
    names = {"VMAs": samples["vmas"], "processes": samples["processes"]}
    if cache != "vm_area_struct":
        names = {"regular anonymous VMAs": regular} | names
    found = {name: _near(samples["time"], values, times, usual) for name, values in names.items()}
    return {name: values for name, values in found.items() if np.isfinite(values).any()}


def _near(times: Column, values: Column, when: Column, usual: float) -> Column:
    """``values`` at ``when``, linear between known ones; NaN where none is known nearby."""
    result = at(times, values, when)
    known = times[np.isfinite(values)]
    if len(known):
        after = np.searchsorted(known, when)
        before, behind = known[np.maximum(after - 1, 0)], known[np.minimum(after, len(known) - 1)]
        away = np.minimum(np.abs(when - before), np.abs(behind - when))
        result[away > _NEARBY * max(usual, float(np.median(np.diff(times))) if len(times) > 1 else 0.0)] = np.nan
    return result
