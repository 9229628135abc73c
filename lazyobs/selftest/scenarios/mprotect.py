# SPDX-License-Identifier: MIT
"""mprotect of part of a VMA splits it; restoring the protection merges it again."""

from __future__ import annotations

from collections.abc import Iterator

from lazyobs.selftest.expectations import Count, Expect, cloned, events, only_lazy
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.stage import Stage
from lazyobs.selftest.syscalls import PAGE, PROT_NONE, PROT_READ, PROT_RW, mprotect

N, PAGES = 23, 5


def _vmas(count: int) -> Expect:
    return Expect({"vmas": Count(count), "vmas_anon": Count(count)}, {"vmas": Count(count), "vmas_anon": Count(count)})


@scenario(
    SET_UP,
    Step("protect middle", cloned(2 * N, N, "split") + _vmas(2 * N) + only_lazy(vmas_lazy=-N)),
    Step("merge again", events(chain_frees=2 * N) + _vmas(-2 * N)),
    Step("write"),
    Step("split again", cloned(2 * N, 0, "split") + _vmas(2 * N)),
)
def mprotect_split_and_merge(stage: Stage) -> Iterator[None]:
    """A read-only page in the middle splits a VMA into three; making it writable merges them"""
    islands = stage.memory.islands(N, PAGES)
    stage.memory.fill(islands, PAGES)
    yield
    for address in islands:
        mprotect(address + 2 * PAGE, PAGE, PROT_READ)
    yield
    for address in islands:
        mprotect(address + 2 * PAGE, PAGE, PROT_RW)
    yield
    stage.memory.fill(islands, PAGES)
    yield
    for address in islands:
        mprotect(address + 2 * PAGE, PAGE, PROT_READ)
    yield


@scenario(
    SET_UP,
    Step("close", _vmas(0)),
    Step("open", _vmas(0)),
    Step("write"),
)
def mprotect_whole(stage: Stage) -> Iterator[None]:
    """mprotect of a whole VMA splits and promotes nothing"""
    islands = stage.memory.islands(N, PAGES, PAGES)
    stage.memory.fill(islands, PAGES)
    for address in islands:
        mprotect(address + PAGES * PAGE, PAGE, PROT_READ)  # keeps the neighbour unmergeable
    yield
    for address in islands:
        mprotect(address, PAGES * PAGE, PROT_RW ^ PROT_READ)
    yield
    for address in islands:
        mprotect(address, PAGES * PAGE, PROT_RW)
    yield
    stage.memory.fill(islands, PAGES)
    yield


@scenario(
    SET_UP,
    Step("close tail", cloned(N, N, "split") + _vmas(N)),
    Step("open tail", events(chain_frees=N) + _vmas(-N)),
)
def mprotect_tail(stage: Stage) -> Iterator[None]:
    """Protecting the last pages splits once; their contents remain when they become accessible again"""
    islands = stage.memory.islands(N, PAGES)
    stage.memory.fill(islands, PAGES)
    for address in islands:
        mprotect(address + PAGES * PAGE, PAGE, PROT_READ)
    yield
    held = {page: stage.memory.pages.pop(page) for a in islands for page in (a + 3 * PAGE, a + 4 * PAGE)}
    for address in islands:
        mprotect(address + 3 * PAGE, 2 * PAGE, PROT_NONE)
    yield
    for address in islands:
        mprotect(address + 3 * PAGE, 2 * PAGE, PROT_RW)
    stage.memory.pages.update(held)
    yield
