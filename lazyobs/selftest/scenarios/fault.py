# SPDX-License-Identifier: MIT
"""The first anonymous fault of a VMA: it prepares an anon_vma, or marks the VMA lazy."""

from __future__ import annotations

from collections.abc import Iterator

from lazyobs.selftest import syscalls
from lazyobs.selftest.expectations import Count, Expect, first_touch, only_regular, unmapped
from lazyobs.selftest.pattern import ZERO
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.stage import Stage
from lazyobs.selftest.syscalls import PAGE

N = 101


@scenario(
    SET_UP,
    Step("read", Expect({"vmas_anon": Count(0)}, {"vmas_anon": Count(0)})),
    Step("write", first_touch(N) + Expect({"vmas_private": Count(N)}, {"vmas_lazy": Count(N), "vmas_anon": Count(N)})),
    Step("write again"),
    Step("unmap", unmapped(N) + Expect({"vmas_private": Count(-N)}, {"vmas_lazy": Count(-N)})),
)
def first_touch_of_islands(stage: Stage) -> Iterator[None]:
    """The first write prepares each VMA once; reads prepare nothing"""
    islands = stage.memory.islands(N)
    yield
    stage.memory.expect(islands, 1, ZERO)
    stage.memory.check("read")
    yield
    stage.memory.fill(islands)
    yield
    stage.memory.fill(islands)
    yield
    stage.memory.forget(islands)
    for address in islands:
        syscalls.munmap(address, PAGE)
    yield


PAGES, WIDE = 61, 7


@scenario(
    SET_UP,
    Step("write last page", first_touch(WIDE)),
    Step("write the others, backwards"),
    Step("unmap", only_regular(chain_frees=WIDE, anon_vma_frees=WIDE)),
)
def first_touch_of_many_pages(stage: Stage) -> Iterator[None]:
    """A VMA is prepared once, for any number of pages written in any order"""
    islands = stage.memory.islands(WIDE, PAGES)
    yield
    stage.memory.fill([address + (PAGES - 1) * PAGE for address in islands])
    yield
    for page in reversed(range(PAGES - 1)):
        stage.memory.fill([address + page * PAGE for address in islands])
    yield
    stage.memory.forget(islands, PAGES)
    for address in islands:
        syscalls.munmap(address, PAGES * PAGE)
    yield
