# SPDX-License-Identifier: MIT
"""KSM: pages with the same content become one, found again through anon_vmas that ksmd remembers."""

from __future__ import annotations

from collections.abc import Iterator

from lazyobs.selftest import pagemap
from lazyobs.selftest.expectations import Count, Expect, facts, first_touch, forked
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.stage import Skip, Stage, writes
from lazyobs.selftest.syscalls import PAGE, madvise

N = 23
_SECONDS = 12.0  # far more than ksmd needs where nobody else uses it
# ksmd merges, and promotes, in its own name.
_PROMOTED_BY_KSMD = Expect(
    {}, {"promotions": Count(N), "promotions.ksm": Count(N), "chain_allocs": Count(N), "vmas_lazy": Count(-N)}
)


def _merging() -> int:
    with open("/proc/self/ksm_merging_pages", encoding="ascii") as file:
        return int(file.read())


def _full_scans() -> int:
    with open("/sys/kernel/mm/ksm/full_scans", encoding="ascii") as file:
        return int(file.read())


def _merge(stage: Stage, islands: list[int]) -> None:
    before = _full_scans()
    for address in islands:
        madvise(address, PAGE, "MERGEABLE")
    # A page is merged when two scans have found it unchanged and a third has found its like.
    merged = stage.wait_until(lambda: _merging() == len(islands) or _full_scans() > before + 4, _SECONDS)
    if not merged:
        raise Skip(
            f"ksm: ksmd has {_full_scans() - before} scans done in {_SECONDS:g} s, with the pages of other processes to look at"
        )


def _alike(stage: Stage, islands: list[int]) -> None:
    stage.memory.fill(islands, origin=PAGE)


_MERGE = (
    SET_UP,
    Step("write", first_touch(N)),
    Step(
        "merge",
        facts(merging=N, frames=1) + _PROMOTED_BY_KSMD,
        actors=("ksmd",),
        except_for=("anon_vma_frees",),  # ksmd lets go of anon_vmas of processes long gone
    ),
)


def _merged(stage: Stage, islands: list[int]) -> Iterator[None]:
    yield
    _alike(stage, islands)
    yield
    _merge(stage, islands)
    stage.fact(merging=_merging(), frames=len(set(pagemap.frames(islands))))
    yield


@scenario(*_MERGE, Step("unmerge", facts(frames=N)), Step("write again"), needs=("ksm", "frames"))
def ksm_merge_and_unmerge(stage: Stage) -> Iterator[None]:
    """Equal pages are merged into one frame, and apart again when told"""
    islands = stage.memory.islands(N)
    yield from _merged(stage, islands)
    for address in islands:
        madvise(address, PAGE, "UNMERGEABLE")
    stage.fact(frames=len(set(pagemap.frames(islands))))
    yield
    stage.memory.fill(islands)
    yield


@scenario(*_MERGE, Step("write to all", facts(frames=N)), needs=("ksm", "frames"))
def ksm_write(stage: Stage) -> Iterator[None]:
    """Writing to a merged page copies it; the others keep the old content"""
    islands = stage.memory.islands(N)
    yield from _merged(stage, islands)
    for address in islands[::2]:
        stage.memory.fill([address])
    stage.memory.check("half written")
    for address in islands[1::2]:
        stage.memory.fill([address])
    stage.fact(frames=len(set(pagemap.frames(islands))))
    yield


@scenario(
    *_MERGE,
    Step("fork", forked(N, promoted=0)),
    Step("child writes"),
    Step("parent unmerges", facts(frames=N)),
    Step("child exits"),
    needs=("ksm", "frames"),
)
def ksm_fork(stage: Stage) -> Iterator[None]:
    """Merged pages are shared by a fork; child and parent leave them one after the other"""
    islands = stage.memory.islands(N)
    yield from _merged(stage, islands)

    child = stage.fork(writes(islands))
    child.advance()
    yield
    child.advance()
    yield
    for address in islands:
        madvise(address, PAGE, "UNMERGEABLE")
    stage.fact(frames=len(set(pagemap.frames(islands))))
    child.advance()
    yield
    child.end()
    yield


@scenario(
    *_MERGE,
    Step("out", facts(swapped=N), content=False),
    Step("in", facts(swapped=0)),
    needs=("ksm", "swap", "pageout", "frames"),
)
def ksm_swap(stage: Stage) -> Iterator[None]:
    """Pages that were merged and are no longer can go to swap"""
    islands = stage.memory.islands(N)
    yield from _merged(stage, islands)
    for address in islands:
        madvise(address, PAGE, "UNMERGEABLE")
    for _ in range(5):
        for address in islands:
            madvise(address, PAGE, "PAGEOUT")
        if pagemap.swapped(islands) == N:
            break
    stage.fact(swapped=pagemap.swapped(islands))
    yield
    stage.memory.check("swap in")
    stage.fact(swapped=pagemap.swapped(islands))
    yield
