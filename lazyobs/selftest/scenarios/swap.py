# SPDX-License-Identifier: MIT
"""Swap: reclaim swaps a page out after a reverse-map walk finds every mapping."""

from __future__ import annotations

from collections.abc import Iterator

from lazyobs.selftest import pagemap
from lazyobs.selftest.expectations import Count, Expect, facts, first_touch, forked, walked
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.stage import Stage
from lazyobs.selftest.syscalls import PAGE, madvise

N, PAGES = 23, 3
_ALL = N * PAGES
_STILL_LAZY = Expect({"vmas_private": Count(0)}, {"vmas_lazy": Count(0)})


def page_out(stage: Stage, islands: list[int], pages: int) -> int:
    """Sends the pages to swap; returns how many are there. Retries pages that were not reclaimed at once."""
    every = pagemap.pages_of(islands, pages)
    for address in islands:
        madvise(address, pages * PAGE, "PAGEOUT")
    for _ in range(5):
        left = [page for page in every if not pagemap.swapped([page])]
        if not left:
            break
        stage.note(f"{len(left)} pages were not reclaimed at once")
        for page in left:
            madvise(page, PAGE, "PAGEOUT")
    return pagemap.swapped(every)


@scenario(
    SET_UP,
    Step("write", first_touch(N)),
    Step("out", facts(swapped=_ALL) + walked(unmap=_ALL) + _STILL_LAZY, content=False),
    Step("in by reading", facts(swapped_again=0) + _STILL_LAZY),
    Step("out again", facts(swapped=_ALL) + walked(unmap=_ALL), content=False),
    Step("in by writing", facts(swapped_again=0)),
    needs=("swap", "pageout"),
)
def swap_out_and_in(stage: Stage) -> Iterator[None]:
    """Pages are swapped out after one walk each, and swapped in with the same contents"""
    islands = stage.memory.islands(N, PAGES)
    every = pagemap.pages_of(islands, PAGES)
    yield
    stage.memory.fill(islands, PAGES)
    yield
    stage.fact(swapped=page_out(stage, islands, PAGES))
    yield
    stage.memory.check("swap in")
    stage.fact(swapped_again=pagemap.swapped(every))
    yield
    stage.fact(swapped=page_out(stage, islands, PAGES))
    yield
    stage.memory.fill(islands, PAGES)
    stage.fact(swapped_again=pagemap.swapped(every))
    yield


@scenario(
    SET_UP,
    Step("out", facts(swapped=_ALL) + walked(unmap=_ALL), content=False),
    Step("fork", forked(N), content=False),
    Step("child reads", facts(childs=0, ours=_ALL), content=False),
    Step("parent writes", facts(ours=0)),
    Step("child writes", facts(childs=0)),
    needs=("swap", "pageout"),
)
def swap_and_fork(stage: Stage) -> Iterator[None]:
    """Fork shares swap entries; parent and child each swap in their own copy"""
    islands = stage.memory.islands(N, PAGES)
    every = pagemap.pages_of(islands, PAGES)
    stage.memory.fill(islands, PAGES)
    yield
    stage.fact(swapped=page_out(stage, islands, PAGES))
    yield

    def body(inside: Stage) -> Iterator[None]:
        expected, inside.memory.pages = inside.memory.pages, {}
        yield
        inside.memory.pages = expected
        inside.memory.check("child swaps in")
        inside.fact(childs=pagemap.swapped(every))
        yield
        inside.memory.fill(islands, PAGES)
        inside.fact(childs=pagemap.swapped(every))
        yield

    child = stage.fork(body)
    child.advance()
    yield
    stage.fact(**child.advance(), ours=pagemap.swapped(every))
    yield
    stage.memory.fill(islands, PAGES)
    stage.fact(ours=pagemap.swapped(every))
    yield
    stage.fact(**child.advance())
    yield
