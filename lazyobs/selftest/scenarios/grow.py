# SPDX-License-Identifier: MIT
"""VMAs that grow: the heap by brk, stacks by a fault below them."""

from __future__ import annotations

from collections.abc import Iterator

from lazyobs.selftest import syscalls
from lazyobs.selftest.expectations import Count, Expect, cloned, events, first_touch
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.stage import Stage
from lazyobs.selftest.syscalls import MAP_FIXED, MAP_GROWSDOWN, PAGE, PROT_RW, libc, munmap

PAGES = 31
_SAME_VMAS = Expect({"vmas": Count(0), "vmas_anon": Count(0)}, {"vmas": Count(0), "vmas_anon": Count(0)})


@scenario(
    SET_UP,
    Step("grow", _SAME_VMAS),
    Step("write", _SAME_VMAS),
    Step("shrink", cloned(1, 0, "split") + events(chain_frees=1) + _SAME_VMAS),
    Step("grow again", _SAME_VMAS),
)
def brk(stage: Stage) -> Iterator[None]:
    """The heap grows within a prepared VMA; after it shrinks and grows again, its pages are zero"""
    yield
    # The interpreter's allocator has enough heap below this address and tolerates a foreign sbrk.
    start = libc.sbrk(PAGES * PAGE)
    if start == syscalls.WORD:
        raise syscalls.failed("sbrk")
    start = (start + PAGE - 1) & -PAGE
    stage.memory.expect([start], PAGES - 1)
    yield
    stage.memory.fill([start], PAGES - 1)
    yield
    stage.memory.forget([start], PAGES - 1)
    libc.sbrk(-PAGES * PAGE)
    yield
    libc.sbrk(PAGES * PAGE)
    stage.memory.expect([start], PAGES - 1)
    yield


N, DEPTH = 7, 19


@scenario(
    SET_UP,
    Step("touch the top", first_touch(N)),
    Step("touch below, page by page", _SAME_VMAS),
    Step("write all"),
    Step("unmap the lower half", cloned(N, N, "split") + events(chain_frees=N)),
)
def stack_growth(stage: Stage) -> Iterator[None]:
    """A fault below a MAP_GROWSDOWN mapping grows it, and it keeps its anon_vma"""
    room = stage.memory.islands(N, DEPTH, DEPTH + 1, prot=0)
    for address in room:
        munmap(address, DEPTH * PAGE)
    tops = [address + DEPTH * PAGE for address in room]
    for top in tops:
        syscalls.mmap(PAGE, PROT_RW, MAP_GROWSDOWN | MAP_FIXED, at=top)
    yield
    stage.memory.fill(tops)
    yield
    for depth in range(1, DEPTH):
        stage.memory.fill([top - depth * PAGE for top in tops])
    yield
    stage.memory.fill([top - (DEPTH - 1) * PAGE for top in tops], DEPTH)
    yield
    stage.memory.forget([top - (DEPTH - 1) * PAGE for top in tops], DEPTH // 2)
    for top in tops:
        munmap(top - (DEPTH - 1) * PAGE, DEPTH // 2 * PAGE)
    yield
