# SPDX-License-Identifier: MIT
"""Shifts of small samples against what can be counted by hand, and against scipy."""

from __future__ import annotations

import math

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


def test_too_few_have_no_interval() -> None:
    assert hodges_lehmann.interval(ONE[:2], OTHER[:2], 0.05) == (-math.inf, math.inf)
    assert hodges_lehmann.interval(ONE[:1], OTHER[:1], 0.05) == (-math.inf, math.inf)
    assert hodges_lehmann.least_effect(ONE[:2], OTHER[:2], 0.05) == math.inf


def test_large_samples_are_near_the_exact_interval() -> None:
    random = np.random.default_rng(11)
    base, new = random.normal(size=51), random.normal(1, size=53)
    low, high = hodges_lehmann.interval(base, new, 0.05)
    assert low < hodges_lehmann.shift(base, new) < high
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(1 / 51 + 1 / 53), rel=0.25)


def test_the_least_p() -> None:
    assert hodges_lehmann.least_p(5, 5) == 1 / 252


def test_the_least_effect_is_found_four_times_in_five() -> None:
    random = np.random.default_rng(17)
    effect = hodges_lehmann.least_effect(random.normal(size=4001), random.normal(size=4001), 0.05)
    assert effect == pytest.approx((1.645 + 0.842) * math.sqrt(2 / 4001), rel=0.05)
