# SPDX-License-Identifier: MIT
"""Shifts of small samples against what can be counted by hand, and against scipy."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from lazyobs.soak import hodges_lehmann

ONE, OTHER = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([11.0, 12.0, 13.0, 14.0, 17.0])


def test_the_shift_is_the_median_difference() -> None:
    assert hodges_lehmann.shift(ONE, OTHER) == 10
    assert hodges_lehmann.shift(OTHER, ONE) == -10


def test_the_interval_is_of_the_rank_statistic() -> None:
    """5 and 5: P(U <= 2) = 4 / 252, P(U <= 3) = 7 / 252: at 5 % two-sided the third smallest and largest difference."""
    low, high = hodges_lehmann.interval(ONE, OTHER, 0.05)
    pairs = np.sort(np.subtract.outer(OTHER, ONE), axis=None)
    assert (low, high) == (pairs[2], pairs[-3])


def test_the_interval_is_where_mann_whitney_says_so() -> None:
    random = np.random.default_rng(7)
    base, new = random.normal(size=7), random.normal(size=11)
    low, high = hodges_lehmann.interval(base, new, 0.05)
    for moved, inside in ((low + 1e-9, True), (low - 1e-9, False), (high - 1e-9, True), (high + 1e-9, False)):
        p = stats.mannwhitneyu(new - moved, base, method="exact").pvalue
        assert (p > 0.05) == inside


def test_too_few_have_no_interval_and_no_p() -> None:
    assert hodges_lehmann.interval(ONE[:2], OTHER[:2], 0.05) == (-math.inf, math.inf)
    assert hodges_lehmann.interval(ONE[:1], OTHER[:1], 0.05) == (-math.inf, math.inf)
    assert hodges_lehmann.p_higher([(ONE[:1], OTHER[:1])], 101) == [1.0]
    assert hodges_lehmann.least_effect(ONE[:2], OTHER[:2], 0.05) == math.inf


def test_large_samples_are_near_the_exact_interval() -> None:
    random = np.random.default_rng(11)
    base, new = random.normal(size=51), random.normal(1, size=53)
    low, high = hodges_lehmann.interval(base, new, 0.05)
    assert low < hodges_lehmann.shift(base, new) < high
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(1 / 51 + 1 / 53), rel=0.25)


def test_complete_separation_is_the_least_p() -> None:
    assert hodges_lehmann.p_higher([(ONE, OTHER)], 101) == [1 / 252]
    assert hodges_lehmann.p_higher([(OTHER, ONE)], 101) == [1.0]
    assert hodges_lehmann.least_p(5, 5) == 1 / 252


def test_p_counts_relabellings() -> None:
    base, new = np.array([1.0, 4.0, 2.0]), np.array([3.0, 6.0, 5.0])
    values = np.concatenate([base, new])

    def striking(there: tuple[int, ...]) -> float:
        rest = [place for place in range(6) if place not in there]
        return float(stats.ttest_ind(values[list(there)], values[rest]).statistic)

    seen = striking((3, 4, 5))
    expected = np.mean([striking(there) >= seen - 1e-9 for there in combinations(range(6), 3)])
    assert hodges_lehmann.p_higher([(base, new)], 101) == [pytest.approx(expected)]


def test_many_metrics_are_corrected_together() -> None:
    """A metric told twice costs nothing; independent ones do."""
    random = np.random.default_rng(3)
    noise = [(random.normal(size=5), random.normal(size=5)) for _ in range(7)]
    alone = hodges_lehmann.p_higher([(ONE, ONE + 1.5)], 101)[0]
    assert hodges_lehmann.p_higher([(ONE, ONE + 1.5)] * 3, 101) == [alone] * 3
    assert hodges_lehmann.p_higher([(ONE, ONE + 1.5), *noise], 101)[0] > alone


def test_constant_metrics_are_no_difference() -> None:
    assert hodges_lehmann.p_higher([(np.ones(5), np.ones(5))], 101) == [1.0]


def test_drawn_relabellings_are_the_same_each_time() -> None:
    random = np.random.default_rng(5)
    arms = [(random.normal(size=23), random.normal(0.3, size=23))]
    assert hodges_lehmann.p_higher(arms, 1009) == hodges_lehmann.p_higher(arms, 1009)
    assert hodges_lehmann.p_higher(arms, 1009)[0] == pytest.approx(
        stats.ttest_ind(*arms[0], alternative="less").pvalue, abs=0.05
    )


def test_the_least_effect_is_found_four_times_in_five() -> None:
    random = np.random.default_rng(17)
    effect = hodges_lehmann.least_effect(random.normal(size=4001), random.normal(size=4001), 0.05)
    assert effect == pytest.approx((1.645 + 0.842) * math.sqrt(2 / 4001), rel=0.05)
