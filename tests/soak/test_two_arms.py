# SPDX-License-Identifier: MIT
"""p-values of two arms against what can be counted by hand, and against scipy."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from lazyobs.soak import two_arms

ONE, OTHER = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([11.0, 12.0, 13.0, 14.0, 17.0])


def test_one_boot_has_no_p() -> None:
    assert two_arms.p_worse([(ONE[:1], OTHER[:1])], 101) == [1.0]
    assert two_arms.p_worse([(ONE[:1], OTHER)], 101) == [1.0]
    assert two_arms.interval(ONE[:1], OTHER, 0.1) == (-math.inf, math.inf)


def test_separation_is_as_rare_as_relabelling_says() -> None:
    assert two_arms.p_worse([(ONE, OTHER)], 101) == [pytest.approx(1 / 252)]
    assert two_arms.p_worse([(OTHER, ONE)], 101) == [1.0]


def test_p_counts_relabellings_where_it_is_the_larger_one() -> None:
    """Three boots: nothing is trimmed, and Welch's statistic of every relabelling is scipy's."""
    base, new = np.array([1.0, 4.0, 2.0]), np.array([3.0, 6.0, 5.0])
    values = np.concatenate([base, new])

    def striking(there: tuple[int, ...]) -> float:
        rest = [place for place in range(6) if place not in there]
        return float(stats.ttest_ind(values[list(there)], values[rest], equal_var=False).statistic)

    seen = striking((3, 4, 5))
    expected = np.mean([striking(there) >= seen - 1e-9 for there in combinations(range(6), 3)])
    welch = stats.ttest_ind(new, base, equal_var=False, alternative="greater").pvalue
    assert two_arms.p_worse([(base, new)], 101) == [pytest.approx(max(expected, welch))]


def test_trimmed_statistics_are_those_of_scipy() -> None:
    random = np.random.default_rng(2)
    base, new = random.normal(size=10), random.normal(1, 3, size=15)
    t, degrees = two_arms._statistic(base[None], new[None], (2, 3), np.array(0.0))
    other = stats.ttest_ind(new, base, equal_var=False, trim=0.2)
    assert t[0] == pytest.approx(other.statistic) and degrees[0] == pytest.approx(other.df)


def test_many_metrics_are_corrected_together() -> None:
    """A metric given twice costs the relabelling nothing; independent ones do."""
    random = np.random.default_rng(3)
    noise = [(random.normal(size=5), random.normal(size=5)) for _ in range(7)]
    metric = ONE, ONE + 2.5
    assert two_arms._by_relabelling([metric] * 3, 101) == two_arms._by_relabelling([metric], 101) * 3
    assert two_arms.p_worse([metric, *noise], 101)[0] > two_arms.p_worse([metric], 101)[0]


def test_metrics_that_boots_lack_are_tested_apart() -> None:
    whole, part = (ONE, OTHER), (ONE, OTHER[:4])
    assert two_arms.p_worse([whole, part], 101) == [pytest.approx(2 / 252), pytest.approx(2 / math.comb(9, 4))]


def test_constant_metrics_are_no_difference() -> None:
    assert two_arms.p_worse([(np.ones(5), np.ones(5))], 101) == [1.0]


def test_drawn_relabellings_are_the_same_each_time() -> None:
    random = np.random.default_rng(5)
    arms = [(random.normal(size=23), random.normal(0.3, size=23))]
    assert two_arms.p_worse(arms, 1009) == two_arms.p_worse(arms, 1009)


def test_an_outlier_does_not_hide_a_difference() -> None:
    base, new = ONE.copy(), OTHER.copy()
    base[0] = 1000
    assert two_arms.p_worse([(base, new)], 101)[0] < 0.05


def test_the_interval_is_welchs() -> None:
    random = np.random.default_rng(4)
    base, new = random.normal(size=5), random.normal(3, 2, size=7)
    found = stats.ttest_ind(new, base, equal_var=False).confidence_interval(0.9)
    assert two_arms.interval(base, new, 0.1) == (pytest.approx(found.low), pytest.approx(found.high))


@pytest.mark.parametrize(
    ("base", "new", "expected"),
    [
        ([0, 1, 2], [3, 4, 5], True),
        ([3, 4, 5], [0, 1, 2], True),
        ([0, 2, 4], [1, 3, 5], False),
        ([0, 3, 4], [1, 2, 5], False),
        ([7, 7, 7], [7, 7, 7], False),
        ([], [1], False),
    ],
)
def test_arms_one_after_the_other(base: list[float], new: list[float], expected: bool) -> None:
    assert two_arms.apart(np.array(base, float), np.array(new, float)) == expected


def test_a_line_in_time_is_taken_off() -> None:
    """By the same least squares as scipy's, and a drift alone is no difference."""
    random = np.random.default_rng(6)
    times = np.arange(16.0)
    values = 0.02 * times + random.normal(0, 0.001, 16)
    drifting = two_arms.undrifted(values[:8], values[8:], times[:8], times[8:])
    assert drifting is not None and drifting.p() > 0.05
    low, high = drifting.bounds(0.1)
    assert low < 0 < high and high - low < 0.01
    stepping = two_arms.undrifted(values[:8], values[8:] + 0.05, times[:8], times[8:])
    assert stepping is not None and stepping.p() < 1e-6 and stepping.shift == pytest.approx(0.05, abs=0.005)
    assert two_arms.undrifted(values[:2], values[2:4], times[:2], times[2:4]) is None
    assert two_arms.undrifted(values[:8], values[8:], times[:8], np.full(8, 9.0)) is not None
    assert two_arms.undrifted(values[:8], values[8:], np.zeros(8), np.ones(8)) is None
