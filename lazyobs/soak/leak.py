# SPDX-License-Identifier: MIT
"""Whether kernel objects pile up: live anon_vmas, chains and VMAs beyond what the workload explains.

FAIL is a rise that goes on to the end (rise.py). PASS excludes every loss that matters, whenever it began (loss.py). What
is neither is INCONCLUSIVE, with what was seen and when. Where orphans were counted (orphans.py) they decide, and the trend
is only reported, as growth. p-values of FAIL are corrected over caches and recordings after Holm (1979).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lazyobs.kernel.slab import CACHES
from lazyobs.soak import cause, orphans
from lazyobs.soak.columns import settled
from lazyobs.soak.counts import BARRIER, Counts, counts, live_objects
from lazyobs.soak.holm import holm
from lazyobs.soak.loss import CHANGED, Loss, loss
from lazyobs.soak.power import NOTHING_SHOWN, could_have_shown, number
from lazyobs.soak.rise import Rise, fell, rises
from lazyobs.soak.series import Series
from lazyobs.soak.thresholds import Thresholds
from lazyobs.soak.trend import Trend
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS, Finding

_LOSS_ALPHA = 0.003  # of a loss above its upper bound: a third of the 1 % of false PASS, as real noise is no AR(1)
_CLEAR = 1e-6  # p of a rise that needs no comparison with others


@dataclass(frozen=True)
class LeakTest:
    """One cache of one recording. ``rises``: of the whole after the warm-up, then of its later parts."""

    recording: str
    cache: str
    counts: Counts
    rises: list[Rise]
    loss: Loss
    live: float | None  # median of the objects; None where only changes are known
    floor: float  # objects per second
    limit: float  # objects by the end
    fell: bool

    @property
    def whole(self) -> tuple[str, Trend]:
        """The measure that is nearest to the objects, and the slope beyond it."""
        return next(iter(self.rises[0].trends.items()))

    @property
    def leaking(self) -> Rise | None:
        """The rise that goes on: the longest of those that are clear, else the one with the smallest p."""
        going = (
            [] if self.fell else [rise for rise in self.rises if rise.goes_on and rise.in_part > 2 * self.counts.unsure]
        )
        if clear := [rise for rise in going if rise.p < _CLEAR]:
            return clear[0]
        return min(going, key=lambda rise: rise.p, default=None)

    @property
    def p(self) -> float:
        return self.leaking.p if self.leaking is not None else 1.0

    @property
    def explaining(self) -> list[str]:
        """Measures of the workload that grew with the objects."""
        return [name for name, slope in self.rises[0].trends.items() if slope.slope <= self.floor]


def test(series: Series, cache: str, thresholds: Thresholds) -> LeakTest | None:
    """None where nothing counts the live objects of that cache, or too few times."""
    found = counts(series, cache)
    if found is None:
        return None
    keep = settled(found.times, thresholds)
    if keep.sum() < thresholds.gate["barriers"]:
        return None
    after = replace(
        found,
        times=found.times[keep],
        live=found.live[keep],
        measures={name: values[keep] for name, values in found.measures.items()},
    )
    level = float(np.median(after.live)) if found.source == BARRIER else float(np.median(found.first[1]))
    rules = thresholds.leak
    limit = max(rules["loss_objects"], rules["loss_share"] * level)
    seconds = max(float(found.times[-1] - found.times[0]), 1.0)
    floor = min(max(rules["objects_per_second"], rules["share_per_hour"] * level / 3600), limit / seconds)
    rising = rises(after, float(found.times[0]), floor)
    if not rising:
        return None
    known = level if found.source == BARRIER else None
    return LeakTest(
        series.name, cache, found, rising, loss(found, _LOSS_ALPHA, limit), known, floor, limit, fell(after)
    )


def findings(all_series: list[Series], thresholds: Thresholds) -> list[Finding]:
    """One for each recording and cache; two where orphans were counted: these, and the growth."""
    tests = [(series, cache, test(series, cache, thresholds)) for series in all_series for cache in CACHES]
    judged = [found for series, cache, found in tests if found is not None and not orphans.known(series, cache)]
    adjusted = dict(zip(map(id, judged), holm([found.p for found in judged])))
    results = []
    for series, cache, found in tests:
        if orphans.known(series, cache):
            results.append(orphans.finding(series, cache, thresholds))
            results += [_growth(found, thresholds)] if found is not None else []
        elif found is None:
            results.append(_untested(series, cache, thresholds))
        else:
            results.append(_finding(series, found, adjusted[id(found)], thresholds))
    return results + [who for series in all_series if (who := cause.finding(series)) is not None]


def _untested(series: Series, cache: str, thresholds: Thresholds) -> Finding:
    numbers: dict[str, Any] = {"power_rate": None, "power_loss": None}
    rows = live_objects(series, cache)
    if rows is None:
        merged = (series.identity.get("slab_merging") or {}).get(cache) or []
        cause = f"shares its slab with {', '.join(merged)}" if merged else "no barrier samples"
        why = f"live objects are not known ({cause})"
    else:
        times = rows[0][np.isfinite(rows[1])]
        have, need = int(settled(times, thresholds).sum()), int(thresholds.gate["barriers"])
        few = f"too few counts of live objects after the warm-up: {have}, {need} are needed"
        why = few if have < need else "the workload is not known"
        numbers["points"] = have
    return Finding("leak", f"{cache} objects", INCONCLUSIVE, f"{why}; {NOTHING_SHOWN}", series.name, numbers)


def _finding(series: Series, found: LeakTest, p: float, thresholds: Thresholds) -> Finding:
    outcome, claim = _judged(found, p, thresholds)
    shown = found.leaking if outcome == FAIL and found.leaking is not None else found.rises[0]
    numbers = _numbers(found, shown, p, thresholds)
    able = could_have_shown(numbers["power_rate"], numbers["power_loss"], "by the end")
    if outcome == FAIL:
        claim += f"; {cause.of_growth(series, shown.objects)}"
    text = f"{claim}; {_slope(found, numbers, thresholds)}; {able}"
    return Finding("leak", f"{found.cache} objects", outcome, text, found.recording, numbers)


def _growth(found: LeakTest, thresholds: Thresholds) -> Finding:
    numbers = _numbers(found, found.rises[0], found.p, thresholds)
    text = f"held by VMAs, so no leak by itself: {_slope(found, numbers, thresholds)}"
    return Finding("leak", f"{found.cache} growth", "", text, found.recording, numbers)


def _judged(found: LeakTest, p: float, thresholds: Thresholds) -> tuple[str, str]:
    """The outcome, and what is claimed."""
    if found.leaking is not None and p < thresholds.leak["alpha"]:
        return FAIL, _piling_up(found, found.leaking, thresholds)
    if found.counts.uncovered:
        minutes = found.counts.uncovered / 60
        return INCONCLUSIVE, f"the counts of live objects end {minutes:.0f} minutes before the recording does"
    _, steepest = found.rises[0].steepest.bounds(2 * (1 - thresholds.leak["confidence"]))
    least, most = found.loss.least - found.counts.unsure, found.loss.most + found.counts.unsure
    # VMAs are known one by one. What differs is the moment of two readings, which has no slope, only noise.
    slow = steepest < found.floor
    if (slow or found.counts.exact) and -found.limit < least and most < found.limit:
        rate = f"no leak of {found.floor:.3g}/s or more; " if slow else "no leak: "
        until = "the end" if np.isinf(found.loss.until) else orphans.clock(found.loss.until)
        lost = f"at most {number(max(most, 0))} objects lost by {until}, whenever the loss began"
        return PASS, f"{rate}{lost} (limit {number(found.limit)})"
    return INCONCLUSIVE, _open(found, p, thresholds)


def _piling_up(found: LeakTest, rise: Rise, thresholds: Thresholds) -> str:
    _, rate = next(iter(rise.trends.items()))
    # a late part's onset is known to within two counts
    unsure = 0.0 if rise is found.rises[0] else 2 * float(np.median(np.diff(found.counts.times)))
    lowest, highest = rate.bounds(1 - thresholds.leak["confidence"])
    low, high = max(lowest, 0.0) * max(rise.lasts - unsure, 0.0), highest * (rise.lasts + unsure)
    since = "" if rise is found.rises[0] else f" since {orphans.clock(rise.onset)}"
    return f"objects pile up{since}: {rate.slope:.3g}/s, {number(low)} to {number(high)} objects lost"


def _open(found: LeakTest, p: float, thresholds: Thresholds) -> str:
    """What was seen that is neither a leak nor its absence."""
    whole, lost = found.rises[0], found.loss
    if found.counts.unsure >= found.limit:
        return f"allocations less frees may be wrong by {number(found.counts.unsure)} objects in this recording"
    if lost.t > CHANGED and lost.change > 0 and (whole.bent or whole.share <= 0):
        return f"a change of {lost.change:+,.0f} objects at {orphans.clock(lost.changed_at)}, not a rate"
    if found.whole[1].slope > found.floor and found.explaining:
        return f"objects grew no faster than {' and '.join(found.explaining)}"
    if lost.least <= -found.limit and lost.most < found.limit:
        fewer = number(-lost.least)
        return f"up to {fewer} objects fewer than the workload explains, which could hide as many lost ones"
    if p < 1 or whole.p < thresholds.leak["alpha"]:
        return _no_rate(found)
    return f"a leak is neither shown nor ruled out: up to {number(lost.most)} objects may have been lost by the end"


def _no_rate(found: LeakTest) -> str:
    whole = found.rises[0]
    if whole.bent:
        return f"objects rise, but not as a leak at a steady rate does: {whole.bent}"
    if found.fell:
        return "the workload shrank, and the objects with it"
    return f"objects rise, but by no more than the objects per VMA may change ({whole.need:.0%})"


def _slope(found: LeakTest, numbers: dict[str, Any], thresholds: Thresholds) -> str:
    level = "by allocations less frees" if found.live is None else f"with {found.live:,.0f} live in barrier samples"
    return (
        f"{numbers['estimate']:+.3g} objects/s ({thresholds.leak['confidence']:.0%} interval {numbers['low']:.3g} to "
        f"{numbers['high']:.3g}) beyond what {numbers['measure']} explain, {level}"
    )


def _numbers(found: LeakTest, shown: Rise, p: float, thresholds: Thresholds) -> dict[str, Any]:
    measure, slope = next(iter(shown.trends.items()))
    low, high = slope.bounds(1 - thresholds.leak["confidence"])
    if shown is found.rises[0]:
        # A median slope over the whole does not move with the last part: the interval has to.
        slopes = [shown.steepest, *(late.trends[measure] for late in found.rises[1:])]
        high = max(high, *(one.bounds(1 - thresholds.leak["confidence"])[1] for one in slopes))
    return {
        "estimate": slope.slope, "low": low, "high": high, "p": p, "floor": found.floor, "live": found.live,
        "autocorrelation": slope.rho, "points": slope.points, "measure": measure, "source": found.counts.source,
        "unit": "objects/s", "lost_at_most": found.loss.most + found.counts.unsure, "limit": found.limit,
        "power_rate": found.rises[0].slowest(found.floor, thresholds.leak["alpha"]),
        "power_loss": max(found.loss.shown, 1.0), "change": found.loss.change, "changed_at": found.loss.changed_at,
    }  # fmt: skip
