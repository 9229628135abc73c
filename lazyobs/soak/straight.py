# SPDX-License-Identifier: MIT
"""Whether a rise is one that goes on: the same in every part of the time, to the end.

A leak of a steady rate is a straight line. What is not says what else it may be: a cache that fills (it bends), a
change at one moment (a step), a daily wave. Two tests: the rise from part to part (each of them has to have a share of
it), and Legendre polynomials beside the line, under first-order autocorrelation.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from lazyobs.soak.series import Column
from lazyobs.soak.trend import autocorrelation, blocks, effective_points

_PARTS = (10, 8, 6)  # as many as have _OF_A_PART points each
_OF_A_PART = 4
_LEAST_OF_PART = 0.1  # of what a straight line rises from one part to the next
_MOST_OF_PART = 2.3
_ORDERS = (2, 3)
_BENT = 0.003  # p below which a bend is one, if it is more than
_SLIGHT = 0.025  # of the rise, which would not matter, and
_STRONG = 0.09  # of it is a bend however noisy
_WAVE = 0.06  # the same of a rise that is slower at both ends
_FILLS = 0.065  # second coefficient of what fills up by 63 % in the time: has to be excluded, by
_FILLS_RATIO = 0.085  # the same of the objects of a VMA, where a leak beside a growing load bends, too
EXCLUDED = 0.3  # so many standard errors


def why_not(times: Column, values: Column, slope: float, excluded: float = EXCLUDED) -> str:
    """Empty for a straight rise; else what the course is instead, in words. ``excluded``: standard errors by which a
    cache that fills has to be excluded."""
    times, values = blocks(times), blocks(values)
    rise = slope * float(times[-1] - times[0])
    if rise <= 0:
        return "it does not rise"
    parts = next((parts for parts in _PARTS if len(times) >= _OF_A_PART * parts), 4)
    middles = np.array([part.mean() for part in np.array_split(times, parts)])
    levels = np.array([np.median(part) for part in np.array_split(values, parts)])
    share = np.diff(levels) / (slope * np.diff(middles))
    if share.min() < _LEAST_OF_PART or share.max() > _MOST_OF_PART:
        return "it does not rise evenly"
    return _bend(times, values, rise, excluded)


def fills(times: Column, ratio: Column) -> bool:
    """Whether the objects of a VMA rise like what fills up, more than a leak beside a load that grows by half."""
    times, ratio = blocks(times), blocks(ratio)
    _, line, curve = np.polynomial.legendre.legfit(2 * (times - times[0]) / (times[-1] - times[0]) - 1, ratio, 2)
    return bool(curve < -_FILLS_RATIO * 2 * line)


def _bend(times: Column, values: Column, rise: float, excluded: float) -> str:
    place = 2 * (times - times[0]) / (times[-1] - times[0]) - 1
    line = np.polynomial.legendre.legvander(place, max(_ORDERS))
    rest = values - line[:, :2] @ np.linalg.lstsq(line[:, :2], values, rcond=None)[0]
    # A bend makes its own autocorrelation, under which it would hardly count: its size is that of plain least squares.
    plain, *_ = np.linalg.lstsq(line, values, rcond=None)
    rho = autocorrelation(rest)
    white = np.vstack([line[:1] * np.sqrt(1 - rho**2), line[1:] - rho * line[:-1]])
    y = np.concatenate([values[:1] * np.sqrt(1 - rho**2), values[1:] - rho * values[:-1]])
    found, *_ = np.linalg.lstsq(white, y, rcond=None)
    left = y - white @ found
    scale = float(left @ left) / max(len(y) - white.shape[1], 1)
    errors = np.sqrt(scale * np.diag(np.linalg.pinv(white.T @ white)))
    degrees = max(effective_points(len(y), rho) - white.shape[1], 2.0)
    for order in _ORDERS:
        size = abs(float(plain[order])) / rise
        p = 2 * float(stats.t.sf(abs(found[order]) / max(errors[order], 1e-12), degrees))
        strong = _WAVE if order == 3 and plain[order] < 0 else _STRONG
        if size > strong or (size > _SLIGHT and p < _BENT):
            return "it bends" if order == 2 else "it rises in one part more than in the others"
    if plain[2] - excluded * errors[2] < -_FILLS * rise:
        return "it may bend"
    return ""
