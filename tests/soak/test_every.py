# SPDX-License-Identifier: MIT
"""Percentiles come from the events where every one was recorded, else from the kernel's histogram."""

from __future__ import annotations

import dataclasses

import numpy as np

from lazyobs.soak import cost
from lazyobs.soak.series import Distribution, Events
from tests.soak import simulate


def _series(recorded: int):
    """101 forks of 1 to 101 us by the kernel's count, of which so many were recorded."""
    micro = np.arange(1, 102) / 1e6
    bounds = np.append(micro[:recorded], np.inf)
    events = Events(
        recorded, Distribution(bounds, np.append(np.ones(recorded), 0.0), float(micro[:recorded].sum())), 101e-6
    )
    slots = np.ceil(np.log2(micro * 1e9)).astype(int)
    histogram = Distribution(
        simulate.BOUNDS, np.bincount(slots, minlength=len(simulate.BOUNDS)).astype(float), float(micro.sum())
    )
    made = simulate.series(1, minutes=7)
    return dataclasses.replace(made, distributions={"fork_seconds": histogram}, events={"fork": events})


def test_all_of_them():
    table = cost.table(_series(101))
    assert table is not None
    assert table.rows == (("fork", 101, "51us", "51us", "91us", "100us", "101us"),)


def test_not_all_of_them():
    assert _series(101).every("fork_seconds") is not None
    assert _series(97).every("fork_seconds") is None
    table = cost.table(_series(97))
    assert table is not None
    assert table.rows[0][:3] == ("fork", 101, "51us")
    assert table.rows[0][3] != "51us"  # within a bucket as if evenly spread
