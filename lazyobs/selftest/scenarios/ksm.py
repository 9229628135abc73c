# SPDX-License-Identifier: MIT
"""KSM: ksmd merges pages with equal contents and remembers their anon_vmas for reverse-map walks."""

from __future__ import annotations

from collections.abc import Iterator

from lazyobs.selftest import pagemap
from lazyobs.selftest.expectations import facts, first_touch, forked_after_ksm, promoted_by_ksmd
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.stage import Skip, Stage, writes
from lazyobs.selftest.syscalls import PAGE, madvise

N = 23
_SECONDS = 12.0  # far more than ksmd needs if no other process uses it


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
    # ksmd merges a page after two scans find it unchanged and a third finds its duplicate.
    merged = stage.wait_until(lambda: _merging() == len(islands) or _full_scans() > before + 4, _SECONDS)
    if not merged:
        raise Skip(
            f"ksm: ksmd finished only {_full_scans() - before} scans in {_SECONDS:g} s; it also scans other processes' pages"
        )


def _alike(stage: Stage, islands: list[int]) -> None:
    stage.memory.fill(islands, origin=PAGE)


_MERGE = (
    SET_UP,
    Step("write", first_touch(N)),
    Step(
        "merge",
        facts(merging=N, frames=1) + promoted_by_ksmd(N),
        actors=("ksmd",),  # what it merges and promotes are its events
        except_for=("anon_vma_frees",),  # ksmd also drops anon_vmas of processes that exited earlier
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
    """Equal pages are merged into one frame, and separated again by MADV_UNMERGEABLE"""
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
    """A write to a merged page copies it; the others keep the old contents"""
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
    Step("fork", forked_after_ksm(N)),
    Step("child writes"),
    Step("parent unmerges", facts(frames=N)),
    Step("child exits"),
    needs=("ksm", "frames"),
)
def ksm_fork(stage: Stage) -> Iterator[None]:
    """Fork shares merged pages; the child unshares them by writing, then the parent by unmerging"""
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
    """Pages that were merged and unmerged again can be swapped out"""
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
