# SPDX-License-Identifier: MIT
"""What counts as growth of a process: slopes whose answer is known, and what a process that holds something is said to."""

from __future__ import annotations

import os

import numpy as np
import pytest

from bench.flat import FLAT, GROWS, judge
from bench.held import held, still_there
from lazyobs.bpf import abi
from tests.harness import need_root

TIMES = np.arange(0, 1800, 5.0)


@pytest.mark.parametrize("seed", range(23))
def test_noise_alone_is_flat_and_a_leak_beneath_it_is_not(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 30, len(TIMES))
    assert judge(TIMES, 1000 + noise, 101).word == FLAT
    assert judge(TIMES, 1000 + noise + 4 * 101 * TIMES / 1350, 101).word == GROWS


def test_what_never_changes_is_flat() -> None:
    found = judge(TIMES, np.full(len(TIMES), 23.0), 1)
    assert (found.word, found.rise, found.most) == (FLAT, 0, 0)


def test_steps_of_one_add_up() -> None:
    assert judge(TIMES, np.floor(TIMES / 337), 1).word == GROWS


def test_what_comes_in_the_warm_up_is_not_growth() -> None:
    assert judge(TIMES, np.minimum(TIMES, 450) * 211, 101).word == FLAT


def test_few_points_are_no_slope() -> None:
    with pytest.raises(ValueError, match="8 are needed"):
        judge(TIMES[:9], TIMES[:9], 1)


def test_a_descriptor_more_is_seen() -> None:
    before, _ = held(os.getpid())
    kept = [os.dup(0) for _ in range(23)]
    after, _ = held(os.getpid())
    for one in kept:
        os.close(one)
    assert after["fds"] - before["fds"] == 23


@pytest.mark.bpf
@pytest.mark.usefixtures("bpf")
def test_a_map_is_seen_and_seen_to_be_gone() -> None:
    need_root("it makes a BPF map")
    _, before = held(os.getpid())
    kept = abi.map_create(abi.MAP_TYPE_ARRAY, 4, 8, 1, 0, "held")
    figures, after = held(os.getpid())
    assert len(after - before) == 1 and figures["bpf_objects"] == len(after)
    assert still_there(after - before, 0.5) == after - before
    os.close(kept)
    assert still_there(after - before) == set()
