# SPDX-License-Identifier: MIT
"""The slope of a series that is noisy, autocorrelated and has outliers, with bounds that hold.

Theil (1950) and Sen (1968): the median of the slopes of all pairs, which a third of the points can be wrong
without moving. Their interval assumes independent points; ours comes from the covariance of a first-order
autoregression instead: the estimator is taken to vary as least squares does under it (it is 95 % as
efficient for Gaussian noise), the coefficient is corrected for its downward bias (Kendall 1954) and taken
one standard error higher, and the scale is robust. bench/soak_truth.py shows what that is worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np
from scipy import stats

from lazyobs.soak.series import Column

BLOCKS = 96  # a day's points become this many medians: all pairs of more are slow, and say nothing more
LEAST = 8  # points that a slope needs
_MOST_RHO = 0.97
_EFFICIENCY = 0.955  # of Theil-Sen beside least squares, Gaussian noise (3/pi)
_MAD = 1.4826  # to a standard deviation


@dataclass(frozen=True)
class Trend:
    """``slope`` and ``error`` (its standard error) per second; ``rho`` is the autocorrelation allowed for."""

    slope: float
    error: float
    rho: float
    points: int

    @property
    def degrees(self) -> float:
        """Degrees of freedom: of as many independent points as these are worth, less two."""
        return effective_points(self.points, self.rho) - 2

    def bounds(self, alpha: float) -> tuple[float, float]:
        """Of an interval that misses the slope with probability ``alpha``, half of it on each side."""
        reach = float(stats.t.isf(alpha / 2, self.degrees)) * self.error
        return self.slope - reach, self.slope + reach

    def p_above(self, floor: float) -> float:
        """How likely an estimate this high is where the slope is no more than ``floor``."""
        if self.error == 0:
            return 0.0 if self.slope > floor else 1.0
        return float(stats.t.sf((self.slope - floor) / self.error, self.degrees))


def trend(time: Column, values: Column) -> Trend | None:
    """Slope of ``values`` (any unit) over ``time`` (seconds); None for fewer than LEAST known points."""
    known = np.isfinite(values) & np.isfinite(time)
    time, values = time[known], values[known]
    if len(time) < LEAST:
        return None
    time, values = blocks(time), blocks(values)
    slope = float(stats.theilslopes(values, time).slope)
    rest = values - slope * (time - time.mean())
    rest = rest - np.median(rest)
    rho = autocorrelation(rest)
    step = rest[1:] - rho * rest[:-1]
    # The median of few absolute deviations is small by chance; the mean is not robust: the middle of both.
    count = len(time)
    robust = _MAD * float(np.median(np.abs(step - np.median(step))))
    plain = float(step.std())
    scale = max(robust, min(plain, 2 * robust)) * np.sqrt(count / max(count - 3, 1))
    return Trend(slope, scale * _reach(time, rho) / np.sqrt(_EFFICIENCY), rho, count)


def blocks(values: Column, most: int = BLOCKS) -> Column:
    """At most ``most`` medians of equally many neighbours each."""
    if len(values) <= most:
        return values
    edges = np.linspace(0, len(values), most + 1).astype(int)
    plain = values.tolist()  # numpy takes thirty times as long for a median of fifteen
    return np.array([median(plain[begin:end]) for begin, end in pairwise(edges)])


def effective_points(points: int, rho: float) -> float:
    """How many independent points so many are worth (Wilks 2011, 5.2.4); a quarter of them at least."""
    return max(points * (1 - rho) / (1 + rho), points / 4)


def autocorrelation(rest: Column) -> float:
    """Of neighbours in what is left of a detrended series; 0 to _MOST_RHO, rather too high than too low."""
    count, power = len(rest), float(rest @ rest)
    if power == 0:
        return 0.0
    found = float(rest[1:] @ rest[:-1]) / power
    unbiased = (count * found + 2) / (count - 4)
    error = np.sqrt(max(1 - min(unbiased, 1.0) ** 2, 0.0) / count)
    return float(np.clip(unbiased + error, 0.0, _MOST_RHO))


def _reach(time: Column, rho: float) -> float:
    """Standard error of a least-squares slope, for innovations of standard deviation 1."""
    centred = time - time.mean()
    weights = centred / float(centred @ centred)
    apart = np.abs(np.subtract.outer(np.arange(len(time)), np.arange(len(time))))
    covariance = rho**apart / (1 - rho**2)
    return float(np.sqrt(weights @ covariance @ weights))
