# SPDX-License-Identifier: MIT
"""munmap of part of a VMA splits it first, and the split clones its chains."""

from __future__ import annotations

from collections.abc import Iterator

from lazyobs.selftest.expectations import Count, Expect, cloned, events, first_touch, only_regular, unmapped_regular
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.stage import Stage
from lazyobs.selftest.syscalls import PAGE, munmap

N, PAGES = 23, 5


def _vmas(count: int) -> Expect:
    return Expect({"vmas_anon": Count(count)}, {"vmas_anon": Count(count)})


def _unmap(stage: Stage, islands: list[int], page: int, pages: int = 1) -> None:
    parts = [address + page * PAGE for address in islands]
    stage.memory.forget(parts, pages)
    for part in parts:
        munmap(part, pages * PAGE)


def _touched(stage: Stage) -> list[int]:
    islands = stage.memory.islands(N, PAGES)
    stage.memory.fill(islands, PAGES)
    return islands


@scenario(
    SET_UP,
    Step("unmap head", cloned(N, N, "split") + events(chain_frees=N) + _vmas(0)),
    Step("unmap next page", cloned(N, 0, "split") + events(chain_frees=N)),
    Step("write what is left"),
    Step("unmap the rest", unmapped_regular(N) + _vmas(-N)),
)
def munmap_head(stage: Stage) -> Iterator[None]:
    """Unmapping the first pages splits the VMA once each time and frees the cloned chains"""
    islands = _touched(stage)
    yield
    _unmap(stage, islands, 0)
    yield
    _unmap(stage, islands, 1)
    yield
    stage.memory.fill([address + 2 * PAGE for address in islands], PAGES - 2)
    yield
    _unmap(stage, islands, 2, PAGES - 2)
    yield


@scenario(
    SET_UP,
    Step("unmap middle", cloned(2 * N, N, "split") + events(chain_frees=N) + _vmas(N)),
    Step("write both halves"),
    Step("unmap both halves and the hole", events(chain_frees=2 * N) + only_regular(anon_vma_frees=N) + _vmas(-2 * N)),
)
def munmap_middle(stage: Stage) -> Iterator[None]:
    """Unmapping a page in the middle splits the VMA twice and leaves two halves"""
    islands = _touched(stage)
    yield
    _unmap(stage, islands, 2)
    yield
    stage.memory.fill(islands, 2)
    stage.memory.fill([address + 3 * PAGE for address in islands], 2)
    yield
    _unmap(stage, islands, 0, PAGES)
    yield


@scenario(
    SET_UP,
    Step("unmap tail", cloned(N, N, "split") + events(chain_frees=N) + _vmas(0)),
    Step("write what is left"),
    Step("unmap the rest", unmapped_regular(N) + _vmas(-N)),
)
def munmap_tail(stage: Stage) -> Iterator[None]:
    """Unmapping the last page splits the VMA once and frees the cloned chains"""
    islands = _touched(stage)
    yield
    _unmap(stage, islands, PAGES - 1)
    yield
    stage.memory.fill(islands, PAGES - 1)
    yield
    _unmap(stage, islands, 0, PAGES - 1)
    yield


@scenario(SET_UP, Step("touch", first_touch(N)), Step("write after the neighbour has gone"))
def munmap_neighbour(stage: Stage) -> Iterator[None]:
    """Unmapping a neighbour does not affect a VMA"""
    islands = stage.memory.islands(N, 1, 4)
    yield
    stage.memory.fill(islands)
    yield
    for address in islands:
        munmap(address + PAGE, PAGE)
    stage.memory.fill(islands)
    yield
