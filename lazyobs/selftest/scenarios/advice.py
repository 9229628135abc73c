# SPDX-License-Identifier: MIT
"""madvise that takes pages away, or may: the VMA keeps its anon_vma."""

from __future__ import annotations

from collections.abc import Iterator

from lazyobs.selftest.expectations import Count, Expect, first_touch
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.stage import Stage
from lazyobs.selftest.syscalls import PAGE, madvise

N, PAGES = 23, 3
_SAME_VMAS = Expect({"vmas": Count(0), "vmas_anon": Count(0)}, {"vmas": Count(0), "vmas_anon": Count(0)})


def _advise(islands: list[int], advice: str) -> None:
    for address in islands:
        madvise(address, PAGES * PAGE, advice)


@scenario(
    SET_UP,
    Step("write", first_touch(N)),
    Step("drop", _SAME_VMAS),
    Step("write again", _SAME_VMAS),
)
def madvise_dontneed(stage: Stage) -> Iterator[None]:
    """MADV_DONTNEED takes the pages, not the anon_vma: zeros, and no second prepare"""
    islands = stage.memory.islands(N, PAGES)
    yield
    stage.memory.fill(islands, PAGES)
    yield
    _advise(islands, "DONTNEED")
    stage.memory.expect(islands, PAGES)
    yield
    stage.memory.fill(islands, PAGES)
    yield


@scenario(
    SET_UP,
    Step("write", first_touch(N)),
    Step("offer", _SAME_VMAS),
    Step("write again", _SAME_VMAS),
    needs=("free",),
)
def madvise_free(stage: Stage) -> Iterator[None]:
    """MADV_FREE lets the kernel take the pages until they are written to again"""
    islands = stage.memory.islands(N, PAGES)
    yield
    stage.memory.fill(islands, PAGES)
    yield
    _advise(islands, "FREE")
    stage.memory.or_zero(islands, PAGES)
    yield
    stage.memory.fill(islands, PAGES)
    yield


@scenario(
    SET_UP,
    Step("write", first_touch(N)),
    Step("cool down", _SAME_VMAS),
    Step("write again", _SAME_VMAS),
    needs=("cold",),
)
def madvise_cold(stage: Stage) -> Iterator[None]:
    """MADV_COLD changes what reclaim thinks of the pages and nothing in them"""
    islands = stage.memory.islands(N, PAGES)
    yield
    stage.memory.fill(islands, PAGES)
    yield
    _advise(islands, "COLD")
    yield
    stage.memory.fill(islands, PAGES)
    yield
