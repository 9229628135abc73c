# SPDX-License-Identifier: MIT
"""Waits for the anon_vma lock and processes that never forked, as a report and a comparison give them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lazyobs.soak import cost
from tests.soak import simulate


def _series(**grown: float):
    """A recording in which each of the counters rises evenly to that number."""
    made = simulate.series(1, minutes=7)
    rows = len(made.samples["time"])
    columns = {name: 1009 + np.linspace(0.0, number, rows) for name, number in grown.items()}
    return dataclasses.replace(made, samples={**made.samples, **columns})


def test_waits_for_each_fork():
    series = _series(lock_waits=211, lock_write_waits=101, lock_waited_ns=5.5e9, forks=1000)
    assert cost.lock_wait_per_fork(series) == pytest.approx(0.0055)
    (finding,) = cost.lock_waits(series)
    assert (
        finding.outcome == "" and finding.text == "211 waits, 101 of them for writing; 5.5s in all, 5.5ms for each fork"
    )


@pytest.mark.parametrize("few", [{"lock_waits": 97}, {"forks": 97}])
def test_few_waits_or_forks_give_no_mean(few):
    series = _series(**{"lock_waits": 211, "lock_write_waits": 101, "lock_waited_ns": 5.5e9, "forks": 1000, **few})
    assert cost.lock_wait_per_fork(series) is None
    assert "for each fork" not in cost.lock_waits(series)[0].text


def test_the_share_that_never_forked():
    (finding,) = cost.forking(_series(ends=1000, ends_forked=130))
    assert finding.outcome == "" and finding.text == "87% of 1000 that ended"
    assert cost.forking(_series(ends=0, ends_forked=0)) == []


def test_without_the_counters_there_is_nothing_to_say():
    made = simulate.series(1, minutes=7)
    unknown = np.full(len(made.samples["time"]), np.nan)
    names = ("lock_waits", "lock_write_waits", "lock_waited_ns", "ends", "ends_forked")
    series = dataclasses.replace(made, samples={**made.samples, **dict.fromkeys(names, unknown)})
    assert cost.lock_waits(series) == [] == cost.forking(series) and cost.lock_wait_per_fork(series) is None
