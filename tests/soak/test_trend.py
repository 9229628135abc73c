# SPDX-License-Identifier: MIT
"""Slopes: exact where there is no noise, honest where there is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lazyobs.soak.trend import BLOCKS, LEAST, autocorrelation, blocks, trend
from tests.soak.simulate import autoregression


def test_a_line_is_its_slope() -> None:
    time = np.arange(101.0) * 7
    found = trend(time, 23 + 0.5 * time)
    assert found is not None
    assert found.slope == pytest.approx(0.5, abs=1e-12)
    assert found.bounds(0.01) == pytest.approx((0.5, 0.5), abs=1e-9)
    assert found.p_above(0.4) < 1e-9 < 0.5 < found.p_above(0.6)


def test_a_fifth_of_the_points_may_be_wild() -> None:
    time = np.arange(101.0) * 7
    values = 23 + 0.5 * time
    values[::5] += 1e4
    found = trend(time, values)
    assert found is not None and found.slope == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("count", [0, 1, LEAST - 1])
def test_few_points_have_no_slope(count: int) -> None:
    assert trend(np.arange(float(count)), np.ones(count)) is None


def test_unknown_points_are_left_out() -> None:
    values = np.arange(23.0)
    values[[3, 7]] = np.nan
    found = trend(np.arange(23.0), values)
    assert found is not None and found.slope == 1 and found.points == 21


def test_many_points_become_medians() -> None:
    values = np.arange(10_007.0)
    assert len(blocks(values)) == BLOCKS
    assert blocks(values)[0] == np.median(values[: 10_007 // BLOCKS])
    assert blocks(values[:BLOCKS]).tolist() == values[:BLOCKS].tolist()


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("count", [29, 97])
def test_the_interval_covers_the_slope(rho: float, count: int) -> None:
    """95 % intervals of 401 series miss in 5 % and no more than chance adds (1 - 1e-4)."""
    random = np.random.default_rng(101)
    time = np.arange(float(count)) * 60
    missed = 0
    for _ in range(401):
        found = trend(time, 0.01 * time + autoregression(random, count, 10.0, rho))
        assert found is not None
        low, high = found.bounds(0.05)
        missed += not low <= 0.01 <= high
    assert missed <= stats.binom.ppf(1 - 1e-4, 401, 0.05)


def test_independent_errors_would_not_do() -> None:
    """The interval that scipy gives with the same slope misses far more often where there is autocorrelation."""
    random = np.random.default_rng(101)
    time = np.arange(97) * 60.0
    missed = 0
    for _ in range(101):
        found = stats.theilslopes(autoregression(random, 97, 10.0, 0.9), time)
        missed += not found.low_slope <= 0 <= found.high_slope
    assert missed > 0.4 * 101


def test_autocorrelation_of_noise_and_of_a_wave() -> None:
    random = np.random.default_rng(23)
    assert autocorrelation(random.normal(size=1009)) < 0.2
    assert autocorrelation(np.sin(np.arange(101) / 20)) > 0.95
    assert autocorrelation(np.zeros(23)) == 0
