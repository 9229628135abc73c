# SPDX-License-Identifier: MIT
"""Objects per VMA that change: what rises like a leak, and is none.

An application may come to have more anon_vmas and chains for each VMA: its heap is split, it forks deeper. Under a steady
load that rise looks like a leak. Three differences: it stays within bounds that measurement gave (``plausible``); it may
slow down (``fills``); and each VMA that the load adds brings more objects than before (``multiplied``, ``fits_better``),
while a leak does not care about the load. Nor is it a leak where they rose in a few steps (``in_steps``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lazyobs.soak import straight
from lazyobs.soak.counts import BARRIER
from lazyobs.soak.series import Column
from lazyobs.soak.trend import autocorrelation, blocks, effective_points

# A rise of the objects per VMA, as a share, that no leak is needed for: after so many hours.
# What fills up doubles them within an hour; a daily wave of 40 % gives 1.3 in half a day.
_HOURS = (0.0, 1.0, 8.0, 20.0)
_PLAUSIBLE = (0.27, 0.73, 0.92, 1.5)
_GROWING = 0.95  # correlation of the workload with time, from which on it hides a bend
_LEAST_ERRORS = 2.5  # standard errors by which a VMA brings more objects than before
_RISE_SHARE = 0.5  # of the rise of the objects per VMA that a VMA which is added brings at least, if they all have it
_GROWN = 0.25  # the same where only changes are known, as a share of what a VMA brought in the first half
_LIKELIER = 4.0  # twice the logarithm of the ratio of likelihoods
_LEAST_POINTS = 6
_STEPS = 4


def plausible(times: Column) -> float:
    """By which share the objects per VMA may rise in that time without a leak."""
    return float(np.interp(float(times[-1] - times[0]) / 3600, _HOURS, _PLAUSIBLE))


def fills(times: Column, live: Column, workload: Column) -> bool:
    """Whether the objects per VMA rise slower and slower, under a load that grows all the time: their sum looks straight.
    The level of ``live`` has to be known."""
    if np.ptp(workload) == 0 or np.corrcoef(times, workload)[0, 1] < _GROWING:
        return False
    return straight.fills(times, live / workload)


def added_bring_more(times: Column, live: Column, workload: Column, source: str) -> bool:
    """Whether a VMA that the load adds brings the objects that have risen, too."""
    if source != BARRIER:
        return _more_by_changes(live, workload)
    return _more_by_level(live, workload) or fits_better(times, live, workload)


def _more_by_level(live: Column, workload: Column) -> bool:
    """In the second half a VMA brings half of the rise of the objects per VMA, or more."""
    half = len(live) // 2
    sixth = max(half // 3, 1)
    before, now = np.median(live[:sixth] / workload[:sixth]), np.median(live[half:] / workload[half:])
    least = _RISE_SHARE * (now - before)
    return any(
        each - before > max(_LEAST_ERRORS * error, least) for each, error in _brought(live[half:], workload[half:])
    )


def _more_by_changes(live: Column, workload: Column) -> bool:
    """In the second half a VMA brings a quarter more than in the first, or more."""
    half = len(live) // 2
    early, late = _brought(live[:half], workload[:half]), _brought(live[half:], workload[half:])
    return any(
        after - before > max(_LEAST_ERRORS * np.hypot(error_before, error_after), _GROWN * before)
        for (before, error_before), (after, error_after) in zip(early, late)
    )


def _brought(live: Column, workload: Column) -> list[tuple[float, float]]:
    """(objects that each VMA brings, standard error): from one count to the next, and over hours beside a line."""
    line = np.column_stack([np.ones(len(live)), np.linspace(-1, 1, len(live))])
    return [_slope(np.diff(live), np.diff(workload), line[1:, :1]), _slope(live, workload, line)]


def _slope(y: Column, x: Column, beside: npt.NDArray[np.float64]) -> tuple[float, float]:
    """(slope of y over x, standard error) by least squares, with the columns ``beside`` projected out."""
    both = np.column_stack([y, x])
    y, x = (both - beside @ np.linalg.lstsq(beside, both, rcond=None)[0]).T
    power = float(x @ x)
    if power <= 0 or len(y) < _LEAST_POINTS:
        return 0.0, np.inf
    slope = float(x @ y) / power
    rest = y - slope * x
    worth = effective_points(len(y), autocorrelation(rest))
    return slope, float(np.sqrt(float(rest @ rest) / max(worth - 3, 1) / power))


def fits_better(times: Column, live: Column, workload: Column) -> bool:
    """Whether objects per VMA that rise at a steady rate fit clearly better than objects lost at a steady rate: under a
    steady load the two are the same. A ratio of likelihoods (Vuong, Econometrica 57 (1989) 307)."""
    times, live, workload = (blocks(values) for values in (times, live, workload))
    passed = (times - times[0]) / max(float(times[-1] - times[0]), 1.0)
    ratio = live / workload
    leak, _ = _left(ratio, passed / workload * float(np.median(workload)))
    drift, worth = _left(ratio, passed)
    return bool(worth * np.log(max(leak, 1e-300) / max(drift, 1e-300)) > _LIKELIER)


def in_steps(times: Column, live: Column, workload: Column) -> bool:
    """Whether up to four steps of the objects per VMA fit clearly better than objects lost at a steady rate, by Schwarz's
    criterion (Ann. Statist. 6 (1978) 461). Under a load that grows, such steps add up to a straight rise."""
    times, live, workload = (blocks(values) for values in (times, live, workload))
    ratio = live / workload
    leak, _ = _left(ratio, (times - times[0]) / workload)
    rest = _stairs(ratio, _STEPS)
    worth = effective_points(len(ratio), autocorrelation(rest))
    more = 2 * _STEPS - 1  # moments and levels, beside the two numbers of a line
    return bool(worth * np.log(max(leak, 1e-300) / max(float(rest @ rest), 1e-300)) > more * np.log(len(ratio)))


def _stairs(values: Column, steps: int) -> Column:
    """What is left of the values beside the best levels with so many steps between them (Bellman 1961)."""
    count = len(values)
    sums, squares = np.concatenate([[0.0], values.cumsum()]), np.concatenate([[0.0], (values**2).cumsum()])
    begin, end = np.arange(count)[:, None], np.arange(1, count + 1)[None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        flat = squares[end] - squares[begin] - (sums[end] - sums[begin]) ** 2 / (end - begin)
    flat[end <= begin] = np.inf  # [begin, end - 1]: squares of that stretch about its mean
    best, came = flat[0].copy(), []
    for _ in range(steps):
        through = np.vstack([np.full(count, np.inf), best[:-1, None] + flat[1:]])
        came.append(through.argmin(axis=0))
        best = through.min(axis=0)
    rest: Column = values.copy()
    stop = count
    for places in reversed(came):
        start = int(places[stop - 1])
        rest[start:stop] -= rest[start:stop].mean()
        stop = start
    rest[:stop] -= rest[:stop].mean()
    return rest


def _left(ratio: Column, course: Column) -> tuple[float, float]:
    """(sum of squares beside a constant and the course, independent points among them)."""
    columns = np.column_stack([np.ones(len(ratio)), course])
    rest = ratio - columns @ np.linalg.lstsq(columns, ratio, rcond=None)[0]
    return float(rest @ rest), effective_points(len(ratio), autocorrelation(rest))
