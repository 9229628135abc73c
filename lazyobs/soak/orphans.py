# SPDX-License-Identifier: MIT
"""Orphans: live objects that no VMA holds. Without a leak their floor is a constant.

At a barrier the recorder reads the live objects (slabinfo after a grace period and a shrink) and those that VMAs hold,
several times. It keeps the smallest difference, ``<cache>_orphans``, and how far the readings lay apart,
``<cache>_orphans_spread``. Processes that the iterator does not visit make it a constant, a few dozen. Processes on their
way in or out add to it for a moment, hundreds of objects under a storm of forks. What was lost stays.

- FAIL: the floor rose and stays (orphan_rise.py).
- PASS: the last readings came back to the base.
- INCONCLUSIVE: transients are as large as what may be hidden behind them. The finding says how large.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from lazyobs.soak import cause
from lazyobs.soak.columns import at
from lazyobs.soak.orphan_rise import FEW, LEAST_LOST, WOBBLE, Readings, Rise, risen
from lazyobs.soak.power import could_have_shown, number
from lazyobs.soak.series import Column, Series
from lazyobs.soak.thresholds import Thresholds
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS, Finding

SOURCE = "orphans"  # in the numbers of a finding, beside the sources of live objects
_LEAST = 8  # readings
_LATE_GAPS = 1.5  # usual distances of two readings that may lie between the last one and the end
_HEAD = 10  # part of the readings that ``base`` is the least of
_TAIL = 5  # readings at the end: one of them has to be back at the base
_NEAR_LIMIT = 0.9  # of the limit: how much the last reading alone may leave open


def known(series: Series, cache: str) -> bool:
    """Whether enough barriers counted orphans of it."""
    rows = series.barriers.get(f"{cache}_orphans")
    return rows is not None and int(np.isfinite(rows).sum()) >= _LEAST


def readings(series: Series, cache: str) -> Readings:
    """Where orphans are known."""
    rows = series.barriers[f"{cache}_orphans"]
    kept = np.isfinite(rows)
    times = series.barriers["time"][kept]
    spread = series.barriers.get(f"{cache}_orphans_spread", np.full(len(rows), np.nan))[kept]
    return Readings(times, rows[kept], spread, _fork_rate(series, times))


def _fork_rate(series: Series, times: Column) -> Column:
    """Forks per second around each time; of the last interval where there is none after it."""
    forks, when = series.samples["forks"], series.samples["time"]
    counted = np.isfinite(forks)
    if counted.sum() < 2:
        return np.full(len(times), np.nan)
    when, forks = when[counted], forks[counted]
    reach = max(series.interval, float(np.median(np.diff(when))))
    begin = np.clip(times - reach, when[0], when[-1])
    end = np.clip(times + reach, when[0], when[-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        rate: Column = (at(when, forks, end) - at(when, forks, begin)) / (end - begin)
    return rate


def finding(series: Series, cache: str, thresholds: Thresholds) -> Finding:
    """The verdict on one cache whose orphans are known."""
    found = readings(series, cache)
    rise = risen(found)
    numbers = _numbers(found, rise)
    live = _live(series, cache)
    numbers["limit"] = max(thresholds.leak["loss_objects"], thresholds.leak["loss_share"] * live)
    outcome, claim = _judged(series, found, rise, numbers, int(thresholds.gate["barriers"]))
    if rise is not None:
        claim += f"; {cause.of_lost(series, cache, rise.lost, rise.begin)}"
    able = could_have_shown(numbers["power_rate"], numbers["power_loss"], "by half time")
    return Finding("leak", f"{cache} objects", outcome, f"{claim}; {able}", series.name, numbers)


def _judged(
    series: Series, found: Readings, rise: Rise | None, numbers: dict[str, Any], need: int
) -> tuple[str, str]:  # fmt: skip
    """The outcome, and what is claimed. ``need``: readings for a PASS."""
    if rise is not None:
        return FAIL, (
            f"{rise.lost:.0f} objects lost since {clock(rise.begin)}: {rise.base + rise.lost:.0f} that no VMA holds, "
            f"{rise.base:.0f} before, and {rise.quiet} quiet readings did not come back{_per_fork(series, rise)}"
        )
    if len(found.times) < need:
        return INCONCLUSIVE, f"too few counts of objects that no VMA holds: {len(found.times)}, {need} are needed"
    if behind := _uncovered(series, found):
        return (
            INCONCLUSIVE,
            f"counts of objects that no VMA holds end {behind / 60:.0f} minutes before the recording does",
        )
    if (fewest := float(found.orphans.min())) < -WOBBLE:
        # Of a merged cache live objects are allocations less frees, which miss what was made in storms or out of sight.
        return INCONCLUSIVE, f"the counts are wrong by {number(-fewest)} or more: so many fewer are live than VMAs hold"
    hidden, last = numbers["lost_at_most"], numbers["lost_at_the_last"]
    levels = f"{numbers['estimate']:.0f} objects that no VMA holds at the end, {numbers['base']:.0f} at the beginning"
    if hidden <= numbers["let_pass"] and last < _NEAR_LIMIT * numbers["limit"]:
        tail = clock(float(found.times[-_TAIL:][found.orphans[-_TAIL:].argmin()]))
        return (
            PASS,
            f"no leak: {levels}; at most {max(hidden, 0):.0f} lost until {tail}, and {max(last, 0):.0f} by the end",
        )
    spread = numbers["spread"]
    apart = f"up to {spread:.0f} apart" if np.isfinite(spread) else "not compared"
    return INCONCLUSIVE, (
        f"up to {number(max(hidden, last))} lost objects can be hidden: {levels}, readings of one barrier {apart}"
    )


def _numbers(found: Readings, rise: Rise | None) -> dict[str, Any]:
    head = max(3, len(found.times) // _HEAD)
    end, last = float(found.orphans[-_TAIL:].min()), float(found.orphans[-1])
    base = _base(found)
    low = max(base - WOBBLE / 2, 0.0) if base is not None else 0.0
    apart = found.spread[np.isfinite(found.spread)]
    least = max(LEAST_LOST, 2 * float(np.median(apart))) if len(apart) else float(np.ptp(found.orphans)) + LEAST_LOST
    seconds = max(float(found.times[-1] - found.times[0]), 1.0)
    return {
        "estimate": end, "base": float(found.orphans[:head].min()), "spread": float(apart.max()) if len(apart) else np.nan,
        "lost": rise.lost if rise is not None else np.nan, "begin": rise.begin if rise is not None else np.nan,
        "p": rise.p if rise is not None else 1.0, "lost_at_most": end - low, "lost_at_the_last": last - low,
        "let_pass": 1.5 * WOBBLE if base is not None else FEW, "points": float(len(found.times)),
        "source": SOURCE, "unit": "objects", "power_loss": least, "power_rate": 2 * least / seconds,
    }  # fmt: skip


def _base(found: Readings) -> float | None:
    """Orphans before anything was lost; None where that is not known. What was lost before the first calm reading looks
    like the base, so that has to be the very first one, or low."""
    early = np.flatnonzero(found.calm[: max(len(found.calm) // 4, 3)])
    if not len(early):
        return None
    base = float(found.orphans[early[0]])
    return base if early[0] == 0 or base <= FEW else None


def _uncovered(series: Series, found: Readings) -> float:
    """Seconds at the end that no reading sees; 0 where they are few."""
    end = float(series.samples["time"][-1])
    behind = end - float(found.times[-1])
    usual = float(np.median(np.diff(found.times)))
    return behind if behind > _LATE_GAPS * usual else 0.0


def _live(series: Series, cache: str) -> float:
    rows = series.barriers.get(cache)
    counted = rows[np.isfinite(rows)] if rows is not None else np.zeros(0)
    return float(np.median(counted)) if len(counted) else 0.0


def _per_fork(series: Series, rise: Rise) -> str:
    """How many forks there were for each lost object."""
    forks, when = series.samples["forks"], series.samples["time"]
    counted = forks[np.isfinite(forks) & (when >= rise.begin - series.interval)]
    made = float(counted[-1] - counted[0]) if len(counted) else 0.0
    if made <= 0 or rise.lost <= 0 or made < rise.lost:
        return ""
    return f"; about 1 in {made / rise.lost:,.0f} forks"


def clock(when: float) -> str:
    """UTC, so that a verdict reads the same everywhere."""
    return time.strftime("%H:%M UTC on %Y-%m-%d", time.gmtime(when))
