# SPDX-License-Identifier: MIT
"""Reclaim as a test of the reverse map: a page is swapped out only if the walk finds all its mappings.

If a walk misses a mapping, page contents stay correct but the page is not swapped out. Each scenario
therefore rearranges VMAs, then sends all pages to swap: all must arrive, each after one walk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lazyobs.selftest import pagemap
from lazyobs.selftest.expectations import facts, forked, walked
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.scenarios.swap import page_out
from lazyobs.selftest.stage import Stage
from lazyobs.selftest.syscalls import (
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    PAGE,
    PROT_NONE,
    PROT_READ,
    PROT_RW,
    mprotect,
    mremap,
    munmap,
)

N, PAGES = 13, 5
ALL = N * PAGES
_NEEDS = ("swap", "pageout")

# Rearranges the VMAs of the islands; returns the addresses of their pages afterwards.
Rearrange = Callable[[Stage, list[int]], list[int]]


def _steps(pages: int) -> tuple[Step, ...]:
    return (
        SET_UP,
        Step("out", facts(swapped=pages) + walked(unmap=pages), content=False),
        Step("in", facts(swapped_again=0)),
    )


def _reclaim(stage: Stage, rearrange: Rearrange) -> Iterator[None]:
    islands = stage.memory.islands(N, PAGES)
    stage.memory.fill(islands, PAGES)
    pages = rearrange(stage, islands)
    yield
    stage.fact(swapped=page_out(stage, pages, 1))
    yield
    stage.memory.check("swap in")
    stage.fact(swapped_again=pagemap.swapped(pages))
    yield


@scenario(*_steps(ALL), needs=_NEEDS)
def reclaim_after_split(stage: Stage) -> Iterator[None]:
    """After a split, walks find the pages in each part"""

    def rearrange(_stage: Stage, islands: list[int]) -> list[int]:
        for address in islands:
            mprotect(address + 2 * PAGE, PAGE, PROT_READ)
        return pagemap.pages_of(islands, PAGES)

    return _reclaim(stage, rearrange)


@scenario(*_steps(N * (PAGES - 1)), needs=_NEEDS)
def reclaim_after_hole(stage: Stage) -> Iterator[None]:
    """After munmap in the middle, walks find the pages on both sides of the hole"""

    def rearrange(_stage: Stage, islands: list[int]) -> list[int]:
        holes = [address + 2 * PAGE for address in islands]
        stage.memory.forget(holes)
        for hole in holes:
            munmap(hole, PAGE)
        return [page for page in pagemap.pages_of(islands, PAGES) if page not in holes]

    return _reclaim(stage, rearrange)


@scenario(*_steps(ALL), needs=_NEEDS)
def reclaim_after_merge(stage: Stage) -> Iterator[None]:
    """After a split and a merge, walks find the pages in the merged VMA"""

    def rearrange(_stage: Stage, islands: list[int]) -> list[int]:
        for prot in (PROT_NONE, PROT_RW):
            for address in islands:
                mprotect(address + PAGE, PAGE, prot)
        return pagemap.pages_of(islands, PAGES)

    return _reclaim(stage, rearrange)


@scenario(*_steps(ALL), needs=_NEEDS)
def reclaim_after_move(stage: Stage) -> Iterator[None]:
    """After mremap, walks find the pages at the new address"""

    def rearrange(stage: Stage, islands: list[int]) -> list[int]:
        targets = stage.memory.islands(N, PAGES, prot=0)
        for source, target in zip(islands, targets):
            mremap(source, PAGES * PAGE, PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target)
            stage.memory.moved(source, target, PAGES)
        return pagemap.pages_of(targets, PAGES)

    return _reclaim(stage, rearrange)


@scenario(*_steps(ALL), needs=_NEEDS)
def reclaim_after_fork(stage: Stage) -> Iterator[None]:
    """After the child that shared them exits, walks find the pages"""

    def rearrange(stage: Stage, islands: list[int]) -> list[int]:
        child = stage.fork(lambda _inside: iter(()))
        child.advance()
        child.end()
        return pagemap.pages_of(islands, PAGES)

    return _reclaim(stage, rearrange)


@scenario(
    SET_UP,
    Step("fork", forked(N)),
    Step("child writes"),
    Step("parent's out", facts(swapped=ALL, childs=0) + walked(unmap=ALL), content=False),
    Step("parent's in", facts(swapped_again=0)),
    Step("child looks"),
    needs=_NEEDS,
)
def reclaim_beside_child(stage: Stage) -> Iterator[None]:
    """After the child copies the pages, walks for the parent's find its VMA first; the child's stay in memory"""
    islands = stage.memory.islands(N, PAGES)
    pages = pagemap.pages_of(islands, PAGES)
    stage.memory.fill(islands, PAGES)
    yield

    def body(inside: Stage) -> Iterator[None]:
        yield
        inside.memory.fill(islands, PAGES)
        yield
        while True:
            inside.fact(childs=pagemap.swapped(pages))
            yield

    child = stage.fork(body)
    child.advance()
    yield
    child.advance()
    yield
    stage.fact(swapped=page_out(stage, pages, 1), **child.advance())
    yield
    stage.memory.check("swap in")
    stage.fact(swapped_again=pagemap.swapped(pages))
    yield
    child.advance()
    yield
