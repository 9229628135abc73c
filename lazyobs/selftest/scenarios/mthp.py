# SPDX-License-Identifier: MIT
"""Huge pages of a smaller size (16 pages), where the kernel has sizes to choose from."""

from __future__ import annotations

from collections.abc import Iterator

from lazyobs.selftest import pagemap
from lazyobs.selftest.expectations import cloned, events, facts, first_touch, forked
from lazyobs.selftest.pattern import Content, write
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.stage import Skip, Stage, writes
from lazyobs.selftest.syscalls import PAGE, madvise, munmap

N = 11


def _regions(stage: Stage) -> tuple[list[int], int]:
    pages = int(stage.settings["mthp"])
    size = pages * PAGE
    base = stage.memory.reserve(2 * N * pages, size)
    found = [base + 2 * number * size for number in range(N)]
    for address in found:
        stage.memory.map(address, pages)
        madvise(address, size, "HUGEPAGE")
    return found, pages


def _touch(found: list[int], pages: int) -> int:
    """Pages that are tails of a bigger folio once the first of each VMA is written."""
    for address in found:
        write(address, Content(0, 1))
    return pagemap.with_flag(pagemap.pages_of(found, pages), pagemap.TAIL)


@scenario(
    SET_UP,
    Step("write one page", first_touch(N) + facts(pages_not_in_folios=0), content=False),
    Step("write all"),
    Step("unmap one page", cloned(2 * N, N, "split") + events(chain_frees=N)),
    Step("fork", forked(2 * N, promoted=0)),
    Step("child writes"),
    needs=("thp", "mthp", "page_flags"),
)
def mthp(stage: Stage) -> Iterator[None]:
    """Folios of 16 pages: one prepare, then a hole in each, and a fork"""
    found, pages = _regions(stage)
    yield
    missing = N * (pages - 1) - _touch(found, pages)
    if missing == N * (pages - 1):
        raise Skip("mthp: the kernel had no free pages of this size")
    stage.fact(pages_not_in_folios=missing)
    yield
    stage.memory.fill(found, pages)
    yield
    holes = [address + 5 * PAGE for address in found]
    stage.memory.forget(holes)
    for hole in holes:
        munmap(hole, PAGE)
    yield

    child = stage.fork(writes())
    child.advance()
    yield
    child.advance()
    yield
