# SPDX-License-Identifier: MIT
"""Whether the floor of orphans rose and stays: the statistics behind orphans.py.

What a storm of forks adds is never negative and goes when the storm does; what was lost stays. So the floor at a moment is
the least of all later readings: no more can have been lost before. That it is higher than at the beginning is shown in one
of three ways:

- a step: quiet readings after it are higher than those before (Mann and Whitney 1947);
- a ramp: quiet readings rise from one to the next (Mann 1945, Kendall 1975);
- out of a storm that never ends: far more than the same forks gave at the beginning, in every part more.

No workload is regressed on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from lazyobs.soak.series import Column

CALM = 2.0  # spread of a quiet reading: a process or two came or went
WOBBLE = 4.0  # objects that a quiet floor may move by without a loss
LEAST_LOST = 6.0  # objects that are a loss
FEW = 100.0  # objects: a floor so low hides no loss that matters, whatever the base was
_BUSIER = 1.3  # times as many forks a second as where the base was seen: comparable
_AS_CALM = 0.5  # share of the calm readings before, that there have to be after
_STEP_ALPHA = 0.02  # of a step, divided by the root of the moments it may have begun at: they are correlated
_RAMP_ALPHA = 0.002  # of a ramp: readings that follow each other are not independent
_WANDERED = 3.0  # times the middle half of the readings before lies apart
_RAMP_POINTS = 6
_EXACT = 400  # pairs of readings up to which the exact distribution is quick
_STORM = 5.0  # times the highest early reading, where no reading is quiet
_STORM_PARTS = 6
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Readings:
    """Of one cache: unix seconds, smallest orphans, their spread (NaN: not known), forks per second (NaN likewise)."""

    times: Column
    orphans: Column
    spread: Column
    forks: Column

    @property
    def floor(self) -> Column:
        """The least of this and all later readings: no more than this can have been lost before."""
        result: Column = np.minimum.accumulate(self.orphans[::-1])[::-1]
        return result

    @property
    def calm(self) -> Flags:
        """The readings of one barrier agree."""
        result: Flags = np.nan_to_num(self.spread, nan=np.inf) <= CALM
        return result


@dataclass(frozen=True)
class Rise:
    """The floor left ``base`` at ``begin`` (unix seconds) and has not come back. ``quiet``: how many readings show it,
    ``p``: of the test that does."""

    base: float
    lost: float
    begin: float
    quiet: int
    p: float


def risen(found: Readings) -> Rise | None:
    """A floor that rose and stays; None where that is not shown."""
    base = float(found.orphans.min())
    above = found.floor > base + WOBBLE
    if not above.any():
        return None
    onset = int(np.argmax(above))
    like_base = _like_base(found, found.orphans <= base + WOBBLE)
    shown = None
    if _as_calm(found.calm, like_base, onset):
        quiet = found.calm & like_base
        shown = _step(found, onset, quiet) or _ramp(found, base, onset, quiet)
    return shown or _out_of_storm(found)


def _like_base(found: Readings, at_base: Flags) -> Flags:
    """Readings with hardly more forks than one at the base, or than the first calm one: more forks add more that is in
    flight."""
    if not np.isfinite(found.forks).all():
        return np.ones(len(at_base), dtype=bool)
    seen = at_base.copy()
    seen[np.flatnonzero(found.calm)[:1]] = True
    result: Flags = found.forks <= _BUSIER * float(found.forks[seen].max()) + 1
    return result


def _as_calm(calm: Flags, like_base: Flags, onset: int) -> bool:
    """After the floor rose readings are calm about as often as before: what rose is no storm."""
    places = np.arange(len(calm))
    late = places >= max(onset, len(calm) - max((len(calm) - onset) // 2, 5))
    early = places < max(onset, 1)
    late &= like_base
    if not late.any():
        return False
    return bool(calm[late].mean() >= _AS_CALM * calm[early].mean() and calm[late].sum() >= 3)


def _step(found: Readings, onset: int, quiet: Flags) -> Rise | None:
    """Before it every reading bounds the base from above, quiet or not; after it only a quiet one bounds the loss from
    below."""
    places = np.arange(len(quiet))
    after = quiet & (places >= onset)
    early, late = found.orphans[places < onset], found.orphans[after]
    if len(early) < 2 or len(late) < 3 or not after[-max(len(after) // 5, 3) :].any():
        return None
    method = "asymptotic" if len(early) * len(late) > _EXACT else "exact"
    p = float(stats.mannwhitneyu(late, early, alternative="greater", method=method).pvalue)
    base = float(np.median(early))
    wandered = _WANDERED * float(np.ptp(np.percentile(early, [25, 75])))
    if late.min() - base < max(LEAST_LOST, wandered) or p * len(places) ** 0.5 >= _STEP_ALPHA:
        return None
    return Rise(base, _at_end(found, after) - base, _began(found, base, onset), len(late), p)


def _ramp(found: Readings, base: float, onset: int, quiet: Flags) -> Rise | None:
    values = found.orphans[quiet]
    if len(values) < _RAMP_POINTS or np.ptp(values) == 0 or onset >= len(found.times) - 3:
        return None
    trend = stats.kendalltau(np.arange(len(values)), values, alternative="greater")
    third = len(values) // 3
    if trend.pvalue >= _RAMP_ALPHA or values[-third:].min() - values[:third].max() < LEAST_LOST:
        return None
    return Rise(base, _at_end(found, quiet) - base, _began(found, base, onset), len(values), float(trend.pvalue))


def _began(found: Readings, base: float, onset: int) -> float:
    """When the readings left the base, to which they had come back until then: a slow loss is below WOBBLE at first."""
    back = np.flatnonzero(found.orphans[:onset] <= base)
    return float(found.times[back[-1] + 1 if len(back) else onset])


def _at_end(found: Readings, quiet: Flags) -> float:
    """The floor of the last three quiet readings."""
    return float(found.orphans[quiet][-3:].min())


def _out_of_storm(found: Readings) -> Rise | None:
    third, begin = len(found.times) // 3, max(len(found.times) // 12, 3)
    if third < 4 or not np.isfinite(found.forks).all() or not np.isfinite(found.spread).all():
        return None
    early, late = slice(0, begin), slice(len(found.times) - third, None)
    if np.median(found.forks[early]) < 1 or found.forks[late].max() > _BUSIER * found.forks[early].max() + 1:
        return None
    if np.median(found.spread[late]) > 2 * np.median(found.spread[early]) + CALM:
        return None
    highest = float(found.orphans[early].max())
    lowest = float((found.orphans - found.spread)[late].min())
    parts = [float(np.median(part)) for part in np.array_split(found.orphans, _STORM_PARTS)]
    if lowest < _STORM * highest + FEW / 2 or not np.all(np.diff(parts) > 0):
        return None
    return Rise(highest, lowest - highest, float(found.times[begin]), third, 0.0)
