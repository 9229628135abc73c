# SPDX-License-Identifier: MIT
"""Comparisons of the truth set, a few of each shape; bench/soak_truth.py makes the table."""

from __future__ import annotations

import pytest

from lazyobs.soak.compare import compare
from lazyobs.soak.thresholds import load
from lazyobs.soak.verdict import FAIL, PASS
from tests.soak.truth.arms import LOST, NONE, SHAPES, WORSE, Shape, make

RULES = load()
RUNS = 5


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_no_word_is_the_wrong_one(shape: Shape) -> None:
    """Five runs of fixed seeds: at most one false FAIL (5 % are allowed for), and never a false PASS."""
    words = [compare(*make(shape, 7 + run), RULES).word for run in range(RUNS)]
    if shape.truth == NONE:
        assert words.count(FAIL) <= 1, words
    if shape.truth in (WORSE, LOST):
        assert PASS not in words, words


def test_what_is_withheld_is_named() -> None:
    shape = next(one for one in SHAPES if one.name == "forks known in base only")
    verdict = compare(*make(shape, 1), RULES)
    named = next(one for one in verdict.reasons() if one.name == "fork time")
    assert named.text == "cannot be compared: known of 5 of 5 boots of base and 0 of 5 of new"


def test_an_outlier_does_not_hide_a_difference() -> None:
    shape = next(one for one in SHAPES if one.name == "10 % slower, an outlier in base")
    assert [compare(*make(shape, seed), RULES).word for seed in range(3)] == [FAIL] * 3
