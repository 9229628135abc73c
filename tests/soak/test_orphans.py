# SPDX-License-Identifier: MIT
"""Verdicts on what no VMA holds."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from lazyobs.soak import orphans
from lazyobs.soak.report import report
from lazyobs.soak.series import Mark, Series
from lazyobs.soak.thresholds import load
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS, Finding
from tests.soak.truth import orphans as truth

RULES = load()


def recording(readings: Any, spread: Any = 0.0, forks: Any = 7.0) -> Series:
    """31 barriers, a minute apart; ``forks``: a second."""
    series = truth.series(truth.Shape("quiet, 30 min"), 1)
    count = len(series.barriers["time"])
    series.barriers["anon_vma_orphans"] = np.broadcast_to(np.float64(readings), count).copy()
    series.barriers["anon_vma_orphans_spread"] = np.broadcast_to(np.float64(spread), count).copy()
    series.samples["forks"] = np.cumsum(np.broadcast_to(np.float64(forks), count) * 60)
    return series


def judged(series: Series) -> Finding:
    return orphans.finding(series, "anon_vma", RULES)


def floor(*parts: tuple[int, float]) -> list[float]:
    """(how many barriers, orphans), in turn."""
    return [value for count, value in parts for _ in range(count)]


def test_a_floor_that_rises_and_stays_fails_with_count_and_time() -> None:
    series = recording(floor((17, 30), (14, 53)))
    found = judged(series)
    assert found.outcome == FAIL
    assert found.numbers["lost"] == 23 and found.numbers["begin"] == series.barriers["time"][17]
    assert found.text.startswith("23 objects lost since ")
    assert "1 in 256 forks" in found.text  # 14 minutes of 7 a second


@pytest.mark.parametrize("parts", [((11, 30), (7, 53), (13, 30)), ((29, 30), (1, 211), (1, 30)), ((31, 30),)])
def test_a_floor_that_comes_back_passes(parts: tuple[tuple[int, float], ...]) -> None:
    assert judged(recording(floor(*parts))).outcome == PASS


def test_a_steady_loss_needs_no_readings_before_it() -> None:
    found = judged(recording(30 + np.arange(31) // 2 * 2.0))
    assert found.outcome == FAIL and found.numbers["lost"] >= 26


def test_a_storm_that_goes_on_is_open_and_says_how_much_it_hides() -> None:
    calm, busy = 13, 18
    found = judged(recording(floor((calm, 30), (busy, 401)), floor((calm, 0), (busy, 97)), floor((calm, 7), (busy, 307))))  # fmt: skip
    assert found.outcome == INCONCLUSIVE
    assert found.text.startswith("up to 373 lost objects can be hidden") and "up to 97 apart" in found.text


def test_more_forks_are_no_base_to_compare_with() -> None:
    """Readings that agree, under thirty times the forks: it may all be on its way."""
    assert judged(recording(floor((13, 30), (18, 401)), 0, floor((13, 7), (18, 211)))).outcome == INCONCLUSIVE
    assert judged(recording(floor((13, 30), (18, 401)), 0, 7)).outcome == FAIL


def test_a_loss_in_a_storm_shows_after_it() -> None:
    series = recording(
        floor((7, 30), (11, 401), (13, 87)), floor((7, 0), (11, 97), (13, 0)), floor((7, 7), (11, 307), (13, 7))
    )
    found = judged(series)
    assert (found.outcome, found.numbers["lost"]) == (FAIL, 57)


def test_a_loss_at_the_last_barrier_does_not_pass() -> None:
    assert judged(recording(floor((30, 30), (1, 601)))).outcome == INCONCLUSIVE


def test_readings_that_end_early_do_not_pass() -> None:
    series = recording(floor((17, 30), (14, np.nan)))
    found = judged(series)
    assert found.outcome == INCONCLUSIVE and "end 14 minutes before" in found.text


def test_fewer_objects_than_vmas_hold_are_a_wrong_count() -> None:
    """A drift of the counters down hides a leak of the same rate: it comes back to the base."""
    assert judged(recording(floor((1, 0), (30, -3)))).outcome == PASS
    found = judged(recording(floor((1, 0), (15, -97), (15, -211))))
    assert found.outcome == INCONCLUSIVE and found.text.startswith("the counts are wrong by 211 or more")


def test_few_readings_are_left_to_the_trend() -> None:
    series = recording(floor((7, 30), (24, np.nan)))
    assert not orphans.known(series, "anon_vma")
    names = [one.name for one in report([series], RULES).findings if one.part == "leak"]
    assert names == ["anon_vma objects", "anon_vma_chain objects", "vm_area_struct objects"]


def test_growth_that_vmas_hold_is_no_leak() -> None:
    """Live objects double: where all are held the trend is reported, and judges nothing."""
    series = recording(30)
    series.barriers["anon_vma"] = series.barriers["anon_vma"] + np.linspace(0, 4000, 31)
    found = {one.name: one for one in report([series], RULES).findings if one.part == "leak"}
    assert found["anon_vma objects"].outcome == PASS
    growth = found["anon_vma growth"]
    assert growth.outcome == "" and growth.text.startswith("held by VMAs, so no leak by itself: +2.")


def test_a_load_that_changes_is_no_obstacle() -> None:
    series = truth.series(truth.Shape("suite, then idle", load="level", load_size=-0.8), 1)
    series.barriers["anon_vma_chain_orphans"] = series.barriers["anon_vma_orphans"]
    series.barriers["anon_vma_chain_orphans_spread"] = series.barriers["anon_vma_orphans_spread"]
    found = {(one.part, one.name): one.outcome for one in report([series], RULES).findings}
    assert found["validity", "workload"] == ""
    assert found["leak", "anon_vma objects"] == found["leak", "anon_vma_chain objects"] == PASS
    for cache in ("anon_vma", "anon_vma_chain"):
        del series.barriers[f"{cache}_orphans"]
    found = {(one.part, one.name): one.outcome for one in report([series], RULES).findings}
    assert found["validity", "workload"] == found["leak", "anon_vma objects"] == INCONCLUSIVE


def test_a_counted_loss_needs_no_long_recording_but_a_clock() -> None:
    shape = truth.Shape("six minutes", minutes=6.0, barrier=20.0, per_fork=0.001, forks=200.0)
    series = truth.series(shape, 1)
    assert report([series], RULES).word == FAIL
    series = truth.series(dataclasses.replace(shape, per_fork=0.0), 1)
    found = next(one for one in report([series], RULES).findings if one.name == "anon_vma objects")
    assert found.outcome == INCONCLUSIVE and "not trusted" in found.text
    series = truth.series(shape, 1)
    series.marks.insert(0, Mark(float(series.samples["time"][3]), "clock_jump", -7.0))
    assert report([series], RULES).word == INCONCLUSIVE


def test_the_power_is_said() -> None:
    found = judged(recording(30))
    assert found.numbers["power_loss"] == 6 and found.numbers["power_rate"] == pytest.approx(12 / 1800)
    assert "could have shown a steady leak of 0.0067/s, or a loss of 6 objects" in found.text
