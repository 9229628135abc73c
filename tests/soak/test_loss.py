# SPDX-License-Identifier: MIT
"""What can have been lost by the end, and what is a rise that goes on."""

from __future__ import annotations

import numpy as np
import pytest

from lazyobs.soak import per_vma, ratio_drift, straight
from lazyobs.soak.counts import BARRIER, Counts, counts
from lazyobs.soak.loss import loss, profiles
from lazyobs.soak.series import Column
from tests.soak.simulate import autoregression, series

MINUTES: Column = (60.0 * np.arange(97)).astype("f8")


def made(lost: Column, rho: float = 0.0, seed: int = 1, held: float = 2003.0) -> Counts:
    random = np.random.default_rng(seed)
    vmas = held * (1 + 0.2 * np.sin(MINUTES / 1500))
    live = vmas * (1 + autoregression(random, 97, 0.01, rho)) + lost
    return Counts(MINUTES, live, {"VMAs": vmas}, BARRIER, 0.0)


@pytest.mark.parametrize("begin", [0.02, 0.3, 0.8, 0.97])
@pytest.mark.parametrize("ramp", [False, True])
@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_the_bound_covers_a_loss_of_any_course(begin: float, ramp: bool, rho: float) -> None:
    share = MINUTES / MINUTES[-1]
    course = np.clip((share - begin) / (1 - begin), 0, 1) if ramp else (share >= begin).astype(float)
    for seed in range(11):
        found = loss(made(503 * course, rho, seed), 0.003, 500.0)
        assert found.most > 503


def test_a_quiet_recording_has_lost_little() -> None:
    found = loss(made(np.zeros(97)), 0.003, 500.0)
    assert -211 < found.least < 0 < found.most < 211
    assert 0 < found.shown < 211


def test_a_change_has_a_time_and_a_size() -> None:
    found = loss(made(np.where(MINUTES >= 60 * 71, 503.0, 0.0)), 0.003, 500.0)
    assert found.changed_at == pytest.approx(60 * 71, abs=120)
    assert found.change == pytest.approx(503, rel=0.1) and found.t > 15


def long(lost: Column, sd: float) -> Counts:
    """Ten hours."""
    times: Column = 60.0 * np.arange(601.0)
    vmas = np.full(601, 5003.0)
    live = vmas * (1 + np.random.default_rng(3).normal(0, sd, 601)) + lost
    return Counts(times, live, {"VMAs": vmas}, BARRIER, 0.0)


@pytest.mark.parametrize("last", [1, 2, 5])
@pytest.mark.parametrize("lost", [503.0, 5003.0, 50_021.0])
def test_a_loss_in_the_last_minutes_of_many_hours_is_bounded(last: int, lost: float) -> None:
    assert loss(long(np.zeros(601), 0.005), 0.003, 500.0).most < 500
    found = loss(long(np.where(np.arange(601) >= 601 - last, lost, 0.0), 0.005), 0.003, 500.0)
    assert found.most > lost and np.isinf(found.until)


def test_what_a_few_noisy_counts_cannot_show_is_left_open() -> None:
    found = loss(long(np.zeros(601), 0.03), 0.003, 500.0)
    assert 592 * 60.0 <= found.until < 600 * 60.0
    assert loss(long(np.where(np.arange(601) >= 598, 803.0, 0.0), 0.03), 0.003, 500.0).most > 803


def test_every_course_ends_at_one() -> None:
    courses, began = profiles(MINUTES)
    assert courses.shape == (97, len(began))
    assert (courses[-1] == 1).all() and (np.diff(courses, axis=0) >= 0).all()


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.1])
def test_the_rate_lies_between_the_two_regressions(noise: float) -> None:
    """One regression of noisy numbers on noisy ones finds too low a rate."""
    random = np.random.default_rng(7)
    true = 1009 * (1 + np.sin(MINUTES / 700) / 3)
    seen = true * (1 + random.normal(0, noise, 97))
    objects = 1.5 * true * (1 + random.normal(0, noise / 3, 97))
    low, high = per_vma.bounds_of(objects, seen, MINUTES, 6.0, 97)
    assert low - 1e-9 <= 1.5 <= high + 1e-9 and high < 6
    unrelated = per_vma.bounds_of(random.normal(0, 1, 97), random.normal(0, 1, 97), MINUTES, 6.0, 97)
    assert unrelated == (0.0, 6.0)


LINE = 0.5 * MINUTES
COURSES = {
    "a line": (LINE, ""),
    "a cache that fills": (3000 * (1 - np.exp(-MINUTES / 2500)), "bends"),
    "a step": (3000.0 * (MINUTES > 3000), "evenly"),
    "a wave": (1500 * np.sin(np.pi * (MINUTES / MINUTES[-1] - 0.5)), "in one part"),
    "a rise that ended": (np.minimum(LINE, LINE[60]), "evenly"),
}


@pytest.mark.parametrize("name", COURSES)
def test_what_is_not_straight_is_named(name: str) -> None:
    values, words = COURSES[name]
    noisy = values + np.random.default_rng(5).normal(0, 23, 97)
    slope = float(np.polyfit(MINUTES, noisy, 1)[0])
    found = straight.why_not(MINUTES, noisy, slope)
    assert words in found and bool(words) == bool(found)


def test_steps_of_the_objects_per_vma_are_no_leak_however_straight_their_sum() -> None:
    random = np.random.default_rng(3)
    vmas = 2003 * (1 + 1.4 * MINUTES / MINUTES[-1])
    steps = np.repeat([0.8, 1.0, 1.2, 1.4], [25, 24, 24, 24]) * (1 + random.normal(0, 0.003, 97))
    assert ratio_drift.in_steps(MINUTES, steps * vmas, vmas)
    leak = 0.8 * vmas * (1 + random.normal(0, 0.003, 97)) + 0.5 * MINUTES
    assert not ratio_drift.in_steps(MINUTES, leak, vmas)


def test_the_last_count_is_carried_on_by_what_was_allocated_since() -> None:
    recording = series(1, 30, leak=1.0)
    recording.barriers = {name: values[:-1] for name, values in recording.barriers.items()}
    found = counts(recording, "anon_vma")
    assert found is not None and found.uncovered == 0
    assert found.times[-1] == recording.samples["time"][-1]
    change = recording.samples["anon_vma_allocs"] - recording.samples["anon_vma_frees"]
    assert found.live[-1] - found.live[-2] == change[-1] - change[-2]


def test_counts_that_stop_leave_the_rest_uncovered() -> None:
    recording = series(1, 120)
    recording.barriers = {name: values[:61] for name, values in recording.barriers.items()}
    found = counts(recording, "anon_vma")
    assert found is not None and found.uncovered == 3600
