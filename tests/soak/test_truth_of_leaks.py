# SPDX-License-Identifier: MIT
"""A look at every shape of the truth set: one recording of each, three where a leak has to be found. The rates over
200 are bench/soak_truth.py's."""

from __future__ import annotations

import pytest

from lazyobs.soak import leak
from lazyobs.soak.series import Series
from lazyobs.soak.thresholds import load
from lazyobs.soak.verdict import FAIL, PASS
from tests.soak.truth import leaks, orphans

RULES = load()


def outcomes(series: Series, *caches: str) -> set[str]:
    wanted = {f"{cache} objects" for cache in caches}
    return {one.outcome for one in leak.findings([series], RULES) if not wanted or one.name in wanted}


@pytest.mark.parametrize("shape", leaks.QUIET, ids=lambda shape: shape.name)
def test_no_shape_without_a_leak_fails(shape: leaks.Shape) -> None:
    assert FAIL not in outcomes(leaks.series(shape, 1))


@pytest.mark.parametrize("shape", leaks.LEAKING, ids=lambda shape: shape.name)
def test_no_loss_that_matters_passes(shape: leaks.Shape) -> None:
    found = outcomes(leaks.series(shape, 1), *shape.where)
    assert PASS not in found or not shape.must_not_pass()


@pytest.mark.parametrize("name", leaks.POWER)
def test_steady_leaks_are_found(name: str) -> None:
    shape = next(shape for shape in leaks.LEAKING if shape.name == name)
    assert sum(FAIL in outcomes(leaks.series(shape, seed), "anon_vma") for seed in range(3)) >= 2


@pytest.mark.parametrize("shape", orphans.QUIET, ids=lambda shape: shape.name)
def test_no_storm_fails(shape: orphans.Shape) -> None:
    for seed in range(7):
        assert FAIL not in outcomes(orphans.series(shape, seed), *shape.caches)


@pytest.mark.parametrize("shape", orphans.LEAKING, ids=lambda shape: shape.name)
def test_no_lost_orphans_pass(shape: orphans.Shape) -> None:
    for seed in range(5):
        found = outcomes(orphans.series(shape, seed), *shape.caches)
        assert PASS not in found or not orphans.must_not_pass(shape)
        assert FAIL in found or shape.name not in orphans.POWER


def test_there_are_shapes_enough() -> None:
    assert len({shape.name for shape in leaks.SHAPES}) == len(leaks.SHAPES) >= 60
    assert len({shape.name for shape in orphans.SHAPES}) == len(orphans.SHAPES) >= 30
