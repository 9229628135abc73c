# SPDX-License-Identifier: MIT
"""mremap: growth in place allocates nothing; a move creates a VMA with clones of the old chains."""

from __future__ import annotations

from collections.abc import Iterator

from lazyobs.selftest.expectations import Count, Expect, cloned, events, first_touch, only_regular
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.stage import Stage
from lazyobs.selftest.syscalls import MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE, PAGE, mremap, munmap

N, PAGES = 23, 3


def _vmas(count: int) -> Expect:
    return Expect({"vmas_anon": Count(count)}, {"vmas_anon": Count(count)})


def _touched(stage: Stage) -> list[int]:
    islands = stage.memory.islands(N, PAGES)
    stage.memory.fill(islands, PAGES)
    return islands


def _move(stage: Stage, sources: list[int], targets: list[int], pages: int = PAGES) -> None:
    for source, target in zip(sources, targets):
        mremap(source, pages * PAGE, pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target)
        stage.memory.moved(source, target, pages)


@scenario(
    SET_UP,
    Step("grow", _vmas(0)),
    Step("write the new pages"),
    Step("shrink", cloned(N, N, "split") + events(chain_frees=N)),
)
def mremap_grow(stage: Stage) -> Iterator[None]:
    """A VMA that grows in place keeps its anon_vma, and the new pages use it"""
    islands = _touched(stage)
    for address in islands:
        munmap(address + PAGES * PAGE, PAGES * PAGE)
    yield
    for address in islands:
        mremap(address, PAGES * PAGE, 2 * PAGES * PAGE, 0)
    stage.memory.expect([address + PAGES * PAGE for address in islands], PAGES)
    yield
    stage.memory.fill(islands, 2 * PAGES)
    yield
    stage.memory.forget([address + PAGES * PAGE for address in islands], PAGES)
    for address in islands:
        mremap(address, 2 * PAGES * PAGE, PAGES * PAGE, 0)
    yield


@scenario(
    SET_UP,
    Step("move", cloned(N, N, "mremap") + events(chain_frees=N) + _vmas(0)),
    Step("write"),
    Step("move back", cloned(N, 0, "mremap") + events(chain_frees=N) + _vmas(0)),
)
def mremap_move(stage: Stage) -> Iterator[None]:
    """A move clones the VMA's chains and frees the old ones; the pages move too"""
    islands, targets = _touched(stage), stage.memory.islands(N, PAGES, prot=0)
    yield
    _move(stage, islands, targets)
    yield
    stage.memory.fill(targets, PAGES)
    yield
    _move(stage, targets, islands)
    yield


@scenario(
    SET_UP,
    Step("move a part", cloned(N, N, "mremap") + cloned(2 * N, 0, "split") + events(chain_frees=N) + _vmas(2 * N)),
    Step("write"),
)
def mremap_move_part(stage: Stage) -> Iterator[None]:
    """Moving the middle page clones chains for the new VMA, then splits the old VMA twice to unmap the page"""
    islands, targets = _touched(stage), stage.memory.islands(N, 1, prot=0)
    yield
    _move(stage, [address + PAGE for address in islands], targets, 1)
    yield
    stage.memory.fill(list(stage.memory.pages))
    yield


@scenario(
    SET_UP,
    Step("touch targets", first_touch(N)),
    Step(
        "move onto them",
        cloned(N, N, "mremap") + events(chain_frees=N) + only_regular(chain_frees=N, anon_vma_frees=N) + _vmas(-N),
    ),
    Step("write"),
)
def mremap_onto(stage: Stage) -> Iterator[None]:
    """Moving onto a VMA with pages unmaps that VMA first; its pages are lost"""
    islands, targets = _touched(stage), stage.memory.islands(N, PAGES)
    yield
    stage.memory.fill(targets, PAGES)
    yield
    stage.memory.forget(targets, PAGES)
    _move(stage, islands, targets)
    yield
    stage.memory.fill(targets, PAGES)
    yield


@scenario(
    SET_UP,
    Step("move, leave the mapping", cloned(N, N, "mremap") + events(chain_frees=N) + _vmas(0)),
    Step("write the old place", first_touch(N) + _vmas(N)),
    Step("write the new place"),
)
def mremap_dontunmap(stage: Stage) -> Iterator[None]:
    """MREMAP_DONTUNMAP leaves an empty VMA without an anon_vma; the next write prepares it again"""
    islands, targets = _touched(stage), stage.memory.islands(N, PAGES, prot=0)
    yield
    for source, target in zip(islands, targets):
        mremap(source, PAGES * PAGE, PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, target)
        stage.memory.moved(source, target, PAGES)
    stage.memory.expect(islands, PAGES)
    yield
    stage.memory.fill(islands, PAGES)
    yield
    stage.memory.fill(targets, PAGES)
    yield


@scenario(
    SET_UP,
    Step("move", Expect({"vmas_anon": Count(0)}, {"vmas_anon": Count(0)})),
    Step("write", first_touch(N)),
)
def mremap_untouched(stage: Stage) -> Iterator[None]:
    """Moving a VMA without pages clones nothing"""
    islands, targets = stage.memory.islands(N, PAGES), stage.memory.islands(N, PAGES, prot=0)
    yield
    for source, target in zip(islands, targets):
        mremap(source, PAGES * PAGE, PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target)
    stage.memory.expect(targets, PAGES)
    yield
    stage.memory.fill(targets, PAGES)
    yield
