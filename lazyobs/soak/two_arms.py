# SPDX-License-Identifier: MIT
"""Whether the boots of one arm lie higher than those of the other: p-values that hold for unequal arms.

Two statistics are compared: Welch's t (1947), and Yuen's (1974), the same of means from which the extreme fifth on each
side is trimmed, so that one outlying boot neither hides a difference nor makes one. Both have an estimate of the variance
for each arm, so that relabelling the boots keeps its level where the arms differ in size and spread (Janssen 1997; Chung
and Romano 2013). Over statistics and metrics the smallest p-value counts (Westfall and Young 1993, min P). With few boots
that level is reached slowly, so the t distribution of the same statistics has to agree, corrected after Holm (1979).

Boots that ran arm after arm, not interleaved, also differ by whatever drifted meanwhile: a line in time, fitted within
the arms, is then taken off, and its uncertainty counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from lazyobs.soak.hodges_lehmann import relabellings
from lazyobs.soak.holm import holm
from lazyobs.soak.series import Column

_TRIMMED = 0.2  # of an arm, on each side
_LEAST_TO_TRIM = 5
_LEAST_TO_BOUND = 8  # trimming fewer costs an interval more than it gains
_STATISTICS = 1.5  # the better of two correlated statistics: between no correction and Bonferroni's 2
_APART = 0.2  # arms are interleaved where a boot of one precedes one of the other in 20 to 80 % of the pairs
_TINY = 1e-12

Arms = tuple[Column, Column]  # (base, new): a value for each boot


def p_worse(metrics: list[Arms], resamples: int) -> list[float]:
    """For each metric: how often arms without a difference look as much worse in any metric. 1 for arms of one boot.

    Metrics of the same boots are tested together; where boots lack a metric it is tested alone, and the groups are
    corrected after Bonferroni.
    """
    groups: dict[tuple[int, int], list[int]] = {}
    for index, (base, new) in enumerate(metrics):
        groups.setdefault((len(base), len(new)), []).append(index)
    found = [1.0] * len(metrics)
    parametric = holm([_by_distribution(*arms) for arms in metrics])
    for (first, second), members in groups.items():
        if min(first, second) < 2:
            continue
        by_relabelling = _by_relabelling([metrics[index] for index in members], resamples)
        for index, p in zip(members, by_relabelling):
            found[index] = max(min(1.0, p * len(groups)), parametric[index])
    return found


def _by_relabelling(metrics: list[Arms], resamples: int) -> list[float]:
    first, second = len(metrics[0][0]), len(metrics[0][1])
    rows = relabellings(first, second, resamples)
    values = np.array([np.concatenate(arms) for arms in metrics])
    values = values - values.mean(axis=1, keepdims=True)
    new = values[:, rows]
    base = values[:, _others(rows, first + second)]
    floor = _TINY * (values**2).mean(axis=1, keepdims=True) + 1e-300
    ranked = []  # by statistic: the share of relabellings that are as striking, (metric, relabelling)
    for trimming in _trimmings(first, second):
        t, _degrees = _statistic(base, new, trimming, floor)
        t = np.round(t / np.maximum(np.abs(t[:, :1]), 1.0), 9)  # ties are ties whatever the order of additions
        ranked.append(stats.rankdata(-t, method="max", axis=1) / t.shape[1])
    best = np.array(ranked).min(axis=0)
    smallest = best.min(axis=0)
    return [float((smallest <= here + _TINY).mean()) for here in best[:, 0]]


def _others(rows: npt.NDArray[np.intp], total: int) -> npt.NDArray[np.intp]:
    """The places of the first sample, where ``rows`` has those of the second."""
    free = np.ones((len(rows), total), dtype=bool)
    np.put_along_axis(free, rows, False, axis=1)
    return np.nonzero(free)[1].reshape(len(rows), -1)


def _by_distribution(base: Column, new: Column) -> float:
    """The smaller p-value of the two statistics by Student's distribution, corrected for the choice."""
    if min(len(base), len(new)) < 2:
        return 1.0
    values = np.concatenate([base, new])
    floor = np.array(_TINY * float(((values - values.mean()) ** 2).mean()) + 1e-300)
    found = []
    for trimming in _trimmings(len(base), len(new)):
        t, degrees = _statistic(base[None], new[None], trimming, floor)
        found.append(float(special.stdtr(degrees[0], -t[0])))
    return min(1.0, min(found) * (_STATISTICS if len(found) > 1 else 1.0))


def _trimmings(first: int, second: int) -> list[tuple[int, int]]:
    """Boots left out on each side of each arm: none; and a fifth where the arms are large enough."""
    most = tuple(max(1, int(_TRIMMED * count)) if count >= _LEAST_TO_TRIM else 0 for count in (first, second))
    return [(0, 0)] if most == (0, 0) else [(0, 0), (most[0], most[1])]


@dataclass(frozen=True)
class _Location:
    """Trimmed means of rows of values, the variances of those means, and how many values are left."""

    mean: Column
    variance: Column
    left: int


def _location(rows: npt.NDArray[np.float64], trimmed: int) -> _Location:
    """Along the last axis."""
    count = rows.shape[-1]
    ordered = np.sort(rows, axis=-1)
    left = count - 2 * trimmed
    mean = ordered[..., trimmed : count - trimmed].mean(axis=-1)
    if trimmed:  # winsorised
        ordered[..., :trimmed] = ordered[..., trimmed : trimmed + 1]
        ordered[..., count - trimmed :] = ordered[..., count - trimmed - 1 : count - trimmed]
    variance = ordered.var(axis=-1, ddof=1) * (count - 1) / (left * (left - 1))
    return _Location(mean, variance, left)


def _statistic(
    base: npt.NDArray[np.float64], new: npt.NDArray[np.float64], trimming: tuple[int, int], floor: Column
) -> tuple[Column, Column]:
    """(t, degrees of freedom) along the last axis; ``floor`` keeps arms without any spread finite."""
    one, other = _location(base, trimming[0]), _location(new, trimming[1])
    error = one.variance + other.variance + floor
    shares = (one.variance / error) ** 2 / (one.left - 1) + (other.variance / error) ** 2 / (other.left - 1)
    degrees = 1 / np.maximum(shares, _TINY)  # without any spread: as if infinitely many
    return (other.mean - one.mean) / np.sqrt(error), degrees


def interval(base: Column, new: Column, alpha: float) -> tuple[float, float]:
    """Welch's interval of the difference, Yuen's where the arms are large enough to be trimmed."""
    if min(len(base), len(new)) < 2:
        return -math.inf, math.inf
    trimming = _trimmings(len(base), len(new))[-1] if min(len(base), len(new)) >= _LEAST_TO_BOUND else (0, 0)
    _t, degrees = _statistic(base[None], new[None], trimming, np.array(1e-300))
    one, other = (_location(arm[None], trim) for arm, trim in zip((base, new), trimming))
    middle = float(other.mean[0] - one.mean[0])
    reach = -float(special.stdtrit(degrees[0], alpha / 2)) * math.sqrt(float(one.variance[0] + other.variance[0]))
    return middle - reach, middle + reach


def apart(base: Column, new: Column) -> bool:
    """Whether the boots of the arms, by the times at which they began, ran one arm after the other."""
    if len(base) == 0 or len(new) == 0:
        return False
    before = np.sign(np.subtract.outer(new, base))
    share = float((before > 0).mean() + 0.5 * (before == 0).mean())
    return not _APART <= share <= 1 - _APART


@dataclass(frozen=True)
class Undrifted:
    """The difference of the arms beside a line in time that both share; ``error`` is its standard error."""

    shift: float
    error: float
    degrees: int

    def p(self) -> float:
        """Of a difference as large where there is none."""
        return float(special.stdtr(self.degrees, -self.shift / max(self.error, 1e-300)))

    def bounds(self, alpha: float) -> tuple[float, float]:
        reach = -float(special.stdtrit(self.degrees, alpha / 2)) * self.error
        return self.shift - reach, self.shift + reach


def undrifted(base: Column, new: Column, base_times: Column, new_times: Column) -> Undrifted | None:
    """Least squares of arm and time; None for fewer than five boots, or boots all of one time in an arm."""
    values, times = np.concatenate([base, new]), np.concatenate([base_times, new_times])
    arm = np.concatenate([np.zeros(len(base)), np.ones(len(new))])
    if len(values) < 5 or max(np.ptp(base_times), np.ptp(new_times)) == 0:
        return None
    design = np.column_stack([np.ones(len(values)), arm, (times - times.mean()) / np.ptp(times)])
    found, _rest, rank, _singular = np.linalg.lstsq(design, values, rcond=None)
    degrees = len(values) - 3
    if rank < 3:
        return None
    rest = values - design @ found
    covariance = np.linalg.inv(design.T @ design) * float(rest @ rest) / degrees
    return Undrifted(float(found[1]), math.sqrt(float(covariance[1, 1])), degrees)
