# SPDX-License-Identifier: MIT
"""madvise that takes pages away, or may: the VMA keeps its anon_vma."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lazyobs.selftest.expectations import Count, Expect, first_touch
from lazyobs.selftest.memory import Memory
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.stage import Stage
from lazyobs.selftest.syscalls import PAGE, madvise

N, PAGES = 23, 3
_SAME_VMAS = Expect({"vmas": Count(0), "vmas_anon": Count(0)}, {"vmas": Count(0), "vmas_anon": Count(0)})


def _write_advise_write(
    stage: Stage, advice: str, account: Callable[[Memory, list[int], int], None] | None = None
) -> Iterator[None]:
    """``account`` enters in the memory's account what the advice does to the pages; None: nothing."""
    islands = stage.memory.islands(N, PAGES)
    yield
    stage.memory.fill(islands, PAGES)
    yield
    for address in islands:
        madvise(address, PAGES * PAGE, advice)
    if account is not None:
        account(stage.memory, islands, PAGES)
    yield
    stage.memory.fill(islands, PAGES)
    yield


@scenario(
    SET_UP,
    Step("write", first_touch(N)),
    Step("drop", _SAME_VMAS),
    Step("write again", _SAME_VMAS),
)
def madvise_dontneed(stage: Stage) -> Iterator[None]:
    """MADV_DONTNEED takes the pages, not the anon_vma: zeros, and no second prepare"""
    return _write_advise_write(stage, "DONTNEED", Memory.expect)


@scenario(
    SET_UP,
    Step("write", first_touch(N)),
    Step("offer", _SAME_VMAS),
    Step("write again", _SAME_VMAS),
    needs=("free",),
)
def madvise_free(stage: Stage) -> Iterator[None]:
    """MADV_FREE lets the kernel take the pages until they are written to again"""
    return _write_advise_write(stage, "FREE", Memory.or_zero)


@scenario(
    SET_UP,
    Step("write", first_touch(N)),
    Step("cool down", _SAME_VMAS),
    Step("write again", _SAME_VMAS),
    needs=("cold",),
)
def madvise_cold(stage: Stage) -> Iterator[None]:
    """MADV_COLD changes what reclaim thinks of the pages and nothing in them"""
    return _write_advise_write(stage, "COLD")
