# SPDX-License-Identifier: MIT
"""Whether a rise is a straight line, the same in every part of the time up to the end, as a leak of a steady rate is.

What is not straight is something else: a cache that fills (it bends), a change at one moment (a step), a daily wave. Two
tests look for that: each part of the time has to have its share of the rise; and Legendre polynomials of second and third
order, fitted beside the line, have to be small. Constants are shares of the rise, chosen on the truth set.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from lazyobs.soak.series import Column
from lazyobs.soak.trend import autocorrelation, blocks, effective_points

_PARTS = (10, 8, 6)  # of the time: as many as have _OF_A_PART points each
_OF_A_PART = 4
_LEAST_OF_PART, _MOST_OF_PART = 0.1, 2.3  # times what a straight line rises from one part to the next
_ORDERS = (2, 3)
_SLIGHT = 0.025  # coefficient that does not matter, however clear
_CLEAR = 0.003  # p of a coefficient between _SLIGHT and the next two
_STRONG = 0.09  # coefficient that is a bend, however noisy
_STRONG_WAVE = 0.06  # the same of the third order, where the rise is slower at both ends
_FILLS = 0.065  # second coefficient of what fills up by 63 % in the time: it has to be excluded
_FILLS_RATIO = 0.085  # the same of objects per VMA, where a leak beside a growing load bends, too
EXCLUDED = 0.3  # standard errors by which _FILLS is
Matrix = npt.NDArray[np.float64]


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
    """Whether objects per VMA rise like what fills up, more than a leak beside a load that grows by half."""
    times, ratio = blocks(times), blocks(ratio)
    _, line, curve = np.polynomial.legendre.legfit(_place(times), ratio, 2)
    return bool(curve < -_FILLS_RATIO * 2 * line)


def _bend(times: Column, values: Column, rise: float, excluded: float) -> str:
    """What the coefficients of second and third order say; empty where they are small."""
    columns: Matrix = np.polynomial.legendre.legvander(_place(times), max(_ORDERS)).astype("f8")
    # A bend makes its own autocorrelation, under which it would hardly count: its size is that of plain least squares.
    plain, *_ = np.linalg.lstsq(columns, values, rcond=None)
    t_values, errors, degrees = _tested(columns, values)
    for order in _ORDERS:
        size = abs(float(plain[order])) / rise
        p = 2 * float(stats.t.sf(t_values[order], degrees))
        strong = _STRONG_WAVE if order == 3 and plain[order] < 0 else _STRONG
        if size > strong or (size > _SLIGHT and p < _CLEAR):
            return "it bends" if order == 2 else "it rises in one part more than in the others"
    if plain[2] - excluded * errors[2] < -_FILLS * rise:
        return "it may bend"
    return ""


def _tested(columns: Matrix, values: Column) -> tuple[Column, Column, float]:
    """(size of each t value, standard errors, degrees of freedom) of the coefficients, under first-order autocorrelation
    of what a line leaves."""
    line = columns[:, :2]
    rho = autocorrelation(values - line @ np.linalg.lstsq(line, values, rcond=None)[0])
    white = np.vstack([columns[:1] * np.sqrt(1 - rho**2), columns[1:] - rho * columns[:-1]])
    y = np.concatenate([values[:1] * np.sqrt(1 - rho**2), values[1:] - rho * values[:-1]])
    found, *_ = np.linalg.lstsq(white, y, rcond=None)
    left = y - white @ found
    scale = float(left @ left) / max(len(y) - white.shape[1], 1)
    errors = np.sqrt(scale * np.diag(np.linalg.pinv(white.T @ white)))
    degrees = max(effective_points(len(y), rho) - white.shape[1], 2.0)
    return np.abs(found) / np.maximum(errors, 1e-12), errors, degrees


def _place(times: Column) -> Column:
    """From -1 to 1."""
    result: Column = 2 * (times - times[0]) / (times[-1] - times[0]) - 1
    return result
