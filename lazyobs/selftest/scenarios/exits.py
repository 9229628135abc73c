# SPDX-License-Identifier: MIT
"""Processes killed in the middle of what they do: nothing of it may show in their parent."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator

from lazyobs.selftest import syscalls
from lazyobs.selftest.expectations import forked
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.scenarios.migration import move_to
from lazyobs.selftest.stage import Stage
from lazyobs.selftest.syscalls import (
    MAP_SHARED,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    PAGE,
    PROT_READ,
    PROT_RW,
    madvise,
    mprotect,
    mremap,
    munmap,
)
from lazyobs.selftest.userfaultfd import FEATURE_MOVE, MISSING, Userfaultfd
from lazyobs.unix.fork import die_with_parent, fork

N, PAGES = 11, 3
KILLS, CYCLES = 5, 7

# One cycle of what the child does until it is killed, given its islands and targets to move to.
Work = Callable[[Stage, list[int], list[int]], None]


def _kill_amid(stage: Stage, work: Work) -> Iterator[None]:
    islands, targets = stage.memory.islands(N, PAGES), stage.memory.islands(N, PAGES, prot=0)
    stage.memory.fill(islands, PAGES)
    # Shared by all: how many cycles the child has done.
    cycles = ctypes.c_uint64.from_address(syscalls.mmap(PAGE, PROT_RW, MAP_SHARED))
    stage.use_all_cpus()
    yield

    def body(inside: Stage) -> Iterator[None]:
        inside.memory.fill(islands, PAGES)
        while True:
            work(inside, islands, targets)
            cycles.value += 1
        yield

    for _ in range(KILLS):
        cycles.value = 0
        child = stage.fork(body)
        child.set_off()
        if not stage.wait_until(lambda: cycles.value >= CYCLES):
            raise RuntimeError(f"the child did {cycles.value} of {CYCLES} cycles in 20 s")
        child.kill()
        stage.memory.check("after a kill")
        stage.memory.fill(islands[:5], PAGES)
        yield


_FORK, _AGAIN = forked(N), forked(N, promoted=0)
_STEPS = (SET_UP, Step("kill 1", _FORK), *(Step(f"kill {number}", _AGAIN) for number in range(2, KILLS + 1)))


@scenario(*_STEPS)
def exit_amid_faults(stage: Stage) -> Iterator[None]:
    """Killed while it maps, faults and unmaps"""

    def work(inside: Stage, islands: list[int], _targets: list[int]) -> None:
        for address in islands:
            inside.memory.map(address, PAGES)
        inside.memory.fill(islands, PAGES)

    return _kill_amid(stage, work)


@scenario(*_STEPS)
def exit_amid_forks(stage: Stage) -> Iterator[None]:
    """Killed while it forks children that write and exit"""

    def work(inside: Stage, islands: list[int], _targets: list[int]) -> None:
        parent = os.getpid()
        pid = fork()
        if pid == 0:
            die_with_parent(parent=parent)
            inside.memory.fill(islands)
            os._exit(0)
        os.waitpid(pid, 0)

    return _kill_amid(stage, work)


@scenario(*_STEPS)
def exit_amid_mprotect(stage: Stage) -> Iterator[None]:
    """Killed while it splits and merges"""

    def work(_inside: Stage, islands: list[int], _targets: list[int]) -> None:
        for prot in (PROT_READ, PROT_RW):
            for address in islands:
                mprotect(address + PAGE, PAGE, prot)

    return _kill_amid(stage, work)


@scenario(*_STEPS)
def exit_amid_munmap(stage: Stage) -> Iterator[None]:
    """Killed while it unmaps parts"""

    def work(inside: Stage, islands: list[int], _targets: list[int]) -> None:
        for address in islands:
            munmap(address + PAGE, PAGE)
        for address in islands:
            inside.memory.map(address + PAGE, 1)
        inside.memory.fill([address + PAGE for address in islands])

    return _kill_amid(stage, work)


@scenario(*_STEPS)
def exit_amid_mremap(stage: Stage) -> Iterator[None]:
    """Killed while it moves VMAs there and back"""

    def work(_inside: Stage, islands: list[int], targets: list[int]) -> None:
        for old, new in ((islands, targets), (targets, islands)):
            for source, target in zip(old, new):
                mremap(source, PAGES * PAGE, PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target)

    return _kill_amid(stage, work)


@scenario(*_STEPS, needs=("swap", "pageout"))
def exit_amid_swap(stage: Stage) -> Iterator[None]:
    """Killed while its pages go to swap and come back"""

    def work(inside: Stage, islands: list[int], _targets: list[int]) -> None:
        for address in islands:
            madvise(address, PAGES * PAGE, "PAGEOUT")
        inside.memory.check("in the child")

    return _kill_amid(stage, work)


@scenario(*_STEPS, needs=("thp", "collapse"))
def exit_amid_collapse(stage: Stage) -> Iterator[None]:
    """Killed while small pages are gathered in huge ones and split again"""

    def work(inside: Stage, islands: list[int], _targets: list[int]) -> None:
        size = int(inside.settings["thp"])
        if "huge" not in inside.settings:
            inside.settings["huge"] = inside.memory.reserve(size // PAGE, size)
        huge = inside.settings["huge"]
        inside.memory.map(huge, size // PAGE)
        for page in range(0, size, 32 * PAGE):
            inside.memory.fill([huge + page])
        madvise(huge, size, "COLLAPSE")
        mprotect(huge + 7 * PAGE, PAGE, PROT_READ)
        inside.memory.check("in the child")

    return _kill_amid(stage, work)


@scenario(*_STEPS, needs=("ksm",))
def exit_amid_ksm(stage: Stage) -> Iterator[None]:
    """Killed while ksmd merges its pages"""

    def work(inside: Stage, islands: list[int], _targets: list[int]) -> None:
        for address in islands:
            madvise(address, PAGES * PAGE, "MERGEABLE")
        inside.memory.fill(islands, PAGES, origin=PAGE)
        inside.wait_until(_has_merged, 0.1)
        for address in islands:
            madvise(address, PAGES * PAGE, "UNMERGEABLE")
        inside.memory.check("in the child")

    return _kill_amid(stage, work)


def _has_merged() -> bool:
    with open("/proc/self/ksm_merging_pages", encoding="ascii") as file:
        return int(file.read()) > 0


@scenario(*_STEPS, needs=("numa",))
def exit_amid_move_pages(stage: Stage) -> Iterator[None]:
    """Killed while its pages move from node to node"""

    def work(inside: Stage, islands: list[int], _targets: list[int]) -> None:
        for node in inside.settings["numa"][:2]:
            move_to(islands, node)

    return _kill_amid(stage, work)


@scenario(*_STEPS, needs=("userfaultfd_move",))
def exit_amid_userfault_move(stage: Stage) -> Iterator[None]:
    """Killed while pages move from VMA to VMA by UFFDIO_MOVE"""

    def work(inside: Stage, islands: list[int], targets: list[int]) -> None:
        inside.memory.fill(islands, PAGES)
        uffd = Userfaultfd(FEATURE_MOVE)
        for source, target in zip(islands, targets):
            inside.memory.map(target, PAGES)
            uffd.register(target, PAGES * PAGE, MISSING)
            uffd.move(target, source, PAGES * PAGE)
        uffd.close()

    return _kill_amid(stage, work)


@scenario(*_STEPS, needs=("process_madvise", "pageout", "swap"))
def exit_amid_process_madvise(stage: Stage) -> Iterator[None]:
    """Killed while it sends the pages of a child of its own to swap"""

    def work(_inside: Stage, islands: list[int], _targets: list[int]) -> None:
        parent = os.getpid()
        pid = fork()
        if pid == 0:
            die_with_parent(parent=parent)
            for address in islands:
                syscalls.libc.memset(address, 1, PAGES * PAGE)
            os._exit(0)
        fd = os.pidfd_open(pid)
        vector = (ctypes.c_uint64 * (2 * N))(*(word for page in islands for word in (page, PAGES * PAGE)))
        try:
            syscalls.syscall("process_madvise", fd, vector, N, syscalls.ADVICE["PAGEOUT"], 0)
        except ProcessLookupError:
            pass  # it has exited first: that is the race
        os.close(fd)
        os.waitpid(pid, 0)

    return _kill_amid(stage, work)
