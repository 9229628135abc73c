# SPDX-License-Identifier: MIT
"""How much higher one small sample lies than another, without a distribution assumed.

The shift is the median of all pairwise differences (Hodges and Lehmann 1963), its interval comes from the null
distribution of the Mann-Whitney statistic (Hollander, Wolfe and Chicken 2014, 4.3). Two one-sided tests (Schuirmann 1987)
are the interval of twice their alpha. It holds for arms of the same spread; two_arms.py has what holds for others.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy import stats

from lazyobs.soak.series import Column

_EXACT = 20_000  # relabellings that are all tried
_SEED = 20_260_527
_POWER = 0.8


def shift(base: Column, new: Column) -> float:
    """Median of new - base over all pairs."""
    return float(np.median(np.subtract.outer(new, base)))


def interval(base: Column, new: Column, alpha: float) -> tuple[float, float]:
    """That misses the shift with probability ``alpha`` or less; infinite where the samples are too small for any."""
    pairs = np.sort(np.subtract.outer(new, base), axis=None)
    tail = _tail(len(base), len(new), alpha / 2)
    if tail is None:
        return -math.inf, math.inf
    return float(pairs[tail]), float(pairs[len(pairs) - 1 - tail])


@lru_cache(maxsize=64)
def _tail(first: int, second: int, alpha: float) -> int | None:
    """Most c with P(U <= c) <= alpha under exchangeability; None where not even P(U = 0) is."""
    if first * second > 2500:
        middle, spread = first * second / 2, math.sqrt(first * second * (first + second + 1) / 12)
        return max(int(middle + float(stats.norm.ppf(alpha)) * spread) - 1, 0)
    # Coefficients of the Gaussian binomial: partitions of u that fit a first x second box.
    ways = np.zeros(first * second + 1)
    ways[0] = 1
    for index in range(1, first + 1):
        for u in range(len(ways) - 1, second + index - 1, -1):
            ways[u] -= ways[u - second - index]
        for u in range(index, len(ways)):
            ways[u] += ways[u - index]
    below = np.cumsum(ways) / math.comb(first + second, first)
    fitting = int(np.searchsorted(below, alpha * (1 + 1e-9), side="right"))
    return fitting - 1 if fitting else None


@lru_cache(maxsize=16)
def relabellings(first: int, second: int, most: int) -> npt.NDArray[np.intp]:
    """Rows of places that the second sample can take among all; the first row is where it is."""
    total = first + second
    here = np.arange(first, total)
    if math.comb(total, second) <= _EXACT:
        rows = np.array(list(combinations(range(total), second)))
        return rows[::-1]
    random = np.random.default_rng(_SEED)
    drawn = np.array([random.permutation(total)[:second] for _ in range(most - 1)])
    return np.vstack([here, drawn])


def least_p(first: int, second: int) -> float:
    """The smallest p-value that samples of that size can have."""
    return 1 / math.comb(first + second, first)


def least_effect(base: Column, new: Column, alpha: float, metrics: int = 1) -> float:
    """The smallest shift that would have been found with probability 0.8; infinite where none could.

    By the two-sample t test on the spread seen, to which the permutation test tends (Hoeffding 1952).
    """
    first, second = len(base), len(new)
    if first + second < 4 or least_p(first, second) > alpha:
        return math.inf
    degrees = first + second - 2
    power = (base.var(ddof=1) * (first - 1) if first > 1 else 0.0) + (
        new.var(ddof=1) * (second - 1) if second > 1 else 0.0
    )
    error = math.sqrt(float(power) / degrees * (1 / first + 1 / second))
    return float(stats.t.isf(alpha / metrics, degrees) + stats.t.ppf(_POWER, degrees)) * error
