# SPDX-License-Identifier: MIT
"""userfaultfd: pages that another thread copies in, moves in, or write-protects."""

from __future__ import annotations

from collections.abc import Iterator

from lazyobs.selftest import pagemap
from lazyobs.selftest.expectations import facts, first_touch, walked
from lazyobs.selftest.pattern import write
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.scenarios.swap import page_out
from lazyobs.selftest.stage import Stage
from lazyobs.selftest.syscalls import PAGE
from lazyobs.selftest.userfaultfd import (
    FEATURE_MOVE,
    FEATURE_PAGEFAULT_FLAG_WP,
    MISSING,
    WRITE_PROTECTED,
    Userfaultfd,
)

N = 23


def _watched(features: int, islands: list[int], mode: int) -> Userfaultfd:
    found = Userfaultfd(features)
    for address in islands:
        found.register(address, PAGE, mode)
    return found


@scenario(SET_UP, Step("copy", first_touch(N)), Step("write"), needs=("userfaultfd",))
def userfault_copy(stage: Stage) -> Iterator[None]:
    """UFFDIO_COPY into missing pages prepares the VMAs as a fault would"""
    islands, sources = stage.memory.islands(N), stage.memory.islands(N)
    stage.memory.fill(sources)
    uffd = _watched(0, islands, MISSING)
    yield
    for source, target in zip(sources, islands):
        uffd.copy(target, source, PAGE)
        stage.memory.pages[target] = stage.memory.pages[source]
    yield
    stage.memory.fill(islands)
    yield
    uffd.close()


@scenario(SET_UP, Step("fault", first_touch(N) + facts(faults=N)), Step("write"), needs=("userfaultfd",))
def userfault_missing(stage: Stage) -> Iterator[None]:
    """A thread that writes to missing pages waits until another thread has copied each page in"""
    islands, sources = stage.memory.islands(N), stage.memory.islands(N)
    stage.memory.fill(sources)
    threads = stage.threads(1)
    uffd = _watched(0, islands, MISSING)
    written = dict(zip(islands, (stage.memory.pages[source][0] for source in sources)))
    yield

    def work(_number: int) -> None:
        for target in islands:
            write(target, written[target])  # type: ignore[arg-type]

    threads.start(work)
    faults = 0
    for source, target in zip(sources, islands):
        faults += uffd.fault() == target
        uffd.copy(target, source, PAGE)
        stage.memory.pages[target] = stage.memory.pages[source]
    threads.join()
    stage.fact(faults=faults)
    yield
    stage.memory.fill(islands)
    yield
    uffd.close()


@scenario(SET_UP, Step("guard"), Step("write", facts(faults=N)), needs=("userfaultfd_wp",))
def userfault_write_protect(stage: Stage) -> Iterator[None]:
    """A thread that writes to protected pages waits; the old contents stay until protection ends"""
    islands = stage.memory.islands(N)
    stage.memory.fill(islands)
    threads = stage.threads(1)
    uffd = _watched(FEATURE_PAGEFAULT_FLAG_WP, islands, WRITE_PROTECTED)
    yield
    for address in islands:
        uffd.protect(address, PAGE, True)
    yield
    mark = stage.memory.next_mark()
    before = dict(stage.memory.pages)

    def work(_number: int) -> None:
        stage.memory.fill(islands, mark=mark)

    threads.start(work)
    faults = 0
    for address in islands:
        faults += uffd.fault() == address
        stage.memory.pages[address] = before[address]
        stage.memory.check_one(address, "guarded")
        uffd.protect(address, PAGE, False)
    threads.join()
    stage.memory.fill(islands, mark=mark)
    stage.fact(faults=faults)
    yield
    uffd.close()


def _move(stage: Stage) -> Iterator[None]:
    islands, sources = stage.memory.islands(N), stage.memory.islands(N)
    stage.memory.fill(sources)
    uffd = _watched(FEATURE_MOVE, islands, MISSING)
    frames = pagemap.frames(sources)
    yield
    for source, target in zip(sources, islands):
        uffd.move(target, source, PAGE)
        stage.memory.moved(source, target)
    stage.memory.expect(sources)
    stage.fact(same_frames=sum(old == new for old, new in zip(frames, pagemap.frames(islands))))
    yield
    uffd.close()
    if "swap" in stage.settings:
        stage.fact(swapped=page_out(stage, islands, 1))
        yield
        stage.memory.check("swap in")
        yield
    stage.memory.fill([*islands, *sources])
    yield


_MOVED = Step("move", first_touch(N) + facts(same_frames=N))


@scenario(SET_UP, _MOVED, Step("write"), needs=("userfaultfd_move", "frames"))
def userfault_move(stage: Stage) -> Iterator[None]:
    """UFFDIO_MOVE moves a page to another VMA: the frame stays the same, and the source reads as zeros"""
    return _move(stage)


@scenario(
    SET_UP,
    _MOVED,
    Step("out", facts(swapped=N) + walked(unmap=N), content=False),
    Step("in"),
    Step("write"),
    needs=("userfaultfd_move", "frames", "swap", "pageout"),
)
def userfault_move_and_swap(stage: Stage) -> Iterator[None]:
    """After UFFDIO_MOVE, the swap-out walk finds the page through its new VMA"""
    return _move(stage)
