# SPDX-License-Identifier: MIT
"""The fit of the cost model, and the crowd that it measures with."""

from __future__ import annotations

import os
import time

import pytest

from bench import budget, cost_model


@pytest.mark.parametrize("power", [0.5, 1.0, 1.5, 2.0])
def test_an_exact_power_law_has_its_exponent(power: float) -> None:
    points = [(size, 3e-6 * size**power) for size in (10, 100, 1000, 5000)]
    assert cost_model.fitted(points) == (points, power, power)


def test_a_cost_that_grows_faster_at_the_end_shows_in_the_last_step() -> None:
    points = [(size, 1e-3 + 1e-9 * size**2) for size in (10, 100, 1_000, 100_000, 1_000_000)]
    found = cost_model.fitted(points)
    assert found.exponent < 1.5 < 1.9 < found.last_step


def test_a_crowd_is_as_large_as_asked_for_and_ends() -> None:
    with cost_model.crowd(23) as pids:
        assert len(set(pids)) == 23 and all(os.path.exists(f"/proc/{pid}") for pid in pids)
    end = time.monotonic() + 60  # their signal comes as the parent ends
    while any(os.path.exists(f"/proc/{pid}") for pid in pids):
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(("flags", "longest"), [("", 0), ("0110", 2), ("111", 3), ("1101110", 3), ("0000", 0)])
def test_longest_run_over_the_budget(flags: str, longest: int) -> None:
    assert budget._longest([flag == "1" for flag in flags]) == longest
