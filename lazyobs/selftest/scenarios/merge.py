# SPDX-License-Identifier: MIT
"""Adjacent VMAs that merge, faulted in either order, with and without a common anon_vma."""

from __future__ import annotations

from collections.abc import Iterator

from lazyobs.selftest.expectations import Count, Expect, cloned, events, first_touch, first_touch_beside, only_regular
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.stage import Stage
from lazyobs.selftest.syscalls import PAGE, PROT_NONE, PROT_READ, PROT_RW, PROT_WRITE, mprotect

N = 23


def _vmas(vmas: int, anon: int) -> Expect:
    counts = {"vmas": Count(vmas), "vmas_anon": Count(anon)}
    return Expect(counts, counts)


def _pairs(stage: Stage, closed: int) -> list[int]:
    """Pairs of adjacent one-page VMAs; page ``closed`` (0 or 1) of each pair is read-only."""
    islands = stage.memory.islands(N, 2)
    for address in islands:
        mprotect(address + closed * PAGE, PAGE, PROT_READ)
    return islands


def _one_faulted(stage: Stage, faulted: int) -> Iterator[None]:
    islands = _pairs(stage, 1 - faulted)
    yield
    stage.memory.fill([address + faulted * PAGE for address in islands])
    yield
    for address in islands:
        mprotect(address + (1 - faulted) * PAGE, PAGE, PROT_RW)
    stage.memory.expect([address + (1 - faulted) * PAGE for address in islands])
    yield
    stage.memory.fill(islands, 2)
    yield


_ONE_FAULTED = (SET_UP, Step("write one", first_touch(N)), Step("merge", _vmas(-N, 0)), Step("write both"))


@scenario(*_ONE_FAULTED)
def merge_left_faulted(stage: Stage) -> Iterator[None]:
    """A VMA with pages merges with its untouched right neighbour, which then needs no prepare"""
    return _one_faulted(stage, 0)


@scenario(*_ONE_FAULTED)
def merge_right_faulted(stage: Stage) -> Iterator[None]:
    """A VMA with pages merges with its untouched left neighbour, which then needs no prepare"""
    return _one_faulted(stage, 1)


def _both_faulted(stage: Stage, first: int) -> Iterator[None]:
    # The VMAs differ only in protection: they may share an anon_vma but cannot merge yet.
    islands = stage.memory.islands(N, 2)
    for address in islands:
        mprotect(address + PAGE, PAGE, PROT_WRITE)
    yield
    stage.memory.fill([address + first * PAGE for address in islands])
    yield
    stage.memory.fill([address + (1 - first) * PAGE for address in islands])
    yield
    for address in islands:
        mprotect(address + PAGE, PAGE, PROT_RW)
    yield
    stage.memory.fill(islands, 2)
    yield


_BOTH_FAULTED = (
    SET_UP,
    Step("write one", first_touch(N)),
    Step("write its neighbour", first_touch_beside(N)),
    Step("merge", only_regular(chain_frees=N) + _vmas(-N, -N)),
    Step("write both"),
)


@scenario(*_BOTH_FAULTED)
def merge_left_then_right(stage: Stage) -> Iterator[None]:
    """The right neighbour reuses the left one's anon_vma, so that the two can be merged"""
    return _both_faulted(stage, 0)


@scenario(*_BOTH_FAULTED)
def merge_right_then_left(stage: Stage) -> Iterator[None]:
    """The left neighbour reuses the right one's anon_vma, so that the two can be merged"""
    return _both_faulted(stage, 1)


@scenario(
    SET_UP,
    Step("write the third", first_touch(N)),
    Step("fill the hole", cloned(N, N, "merge") + events(chain_frees=N) + _vmas(-2 * N, 0)),
    Step("write all"),
)
def merge_across_hole(stage: Stage) -> Iterator[None]:
    """Three VMAs (untouched, hole, touched) merge: the first takes over the chains of the third"""
    islands = stage.memory.islands(N, 3)
    for address in islands:
        mprotect(address + PAGE, PAGE, PROT_NONE)
    yield
    stage.memory.fill([address + 2 * PAGE for address in islands])
    yield
    for address in islands:
        mprotect(address + PAGE, PAGE, PROT_RW)
    stage.memory.expect(islands, 2)
    yield
    stage.memory.fill(islands, 3)
    yield


@scenario(
    SET_UP,
    Step("write first and third", first_touch(2 * N)),
    # VMAs with different anon_vmas cannot merge; lazy VMAs share one.
    Step(
        "fill the hole",
        Expect({"vmas": Count(-N), "vmas_anon": Count(0)}, {"vmas": Count(-2 * N), "vmas_anon": Count(-N)}),
    ),
    Step("write all"),
)
def merge_strangers(stage: Stage) -> Iterator[None]:
    """VMAs with separate anon_vmas do not merge when the hole between them is filled; lazy ones do"""
    islands = stage.memory.islands(N, 3)
    for address in islands:
        mprotect(address + PAGE, PAGE, PROT_NONE)
    yield
    stage.memory.fill([page for address in islands for page in (address, address + 2 * PAGE)])
    yield
    for address in islands:
        mprotect(address + PAGE, PAGE, PROT_RW)
    stage.memory.expect([address + PAGE for address in islands])
    yield
    stage.memory.fill(islands, 3)
    yield
