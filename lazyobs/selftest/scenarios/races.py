# SPDX-License-Identifier: MIT
"""Threads that fault, split, move and fork at once. Rounds are counted, never timed."""

from __future__ import annotations

import os
from collections.abc import Iterator

from lazyobs.selftest import syscalls
from lazyobs.selftest.expectations import Count, Expect, events
from lazyobs.selftest.pattern import Content, write
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.stage import Stage
from lazyobs.selftest.syscalls import (
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    PAGE,
    PROT_READ,
    PROT_RW,
    madvise,
    mprotect,
    mremap,
)
from lazyobs.unix.fork import die_with_parent, fork

THREADS, N = 4, 101
# Whoever loses the race for a VMA has allocated in vain: what is left counts.
_OBJECTS = ("anon_vma_allocs", "anon_vma_frees", "chain_allocs", "chain_frees")


def _first_touch(vmas: int) -> Expect:
    return Expect(
        {name: Count(vmas) for name in ("first_faults", "prepares", "anon_vmas_kept", "chains_kept")},
        {"first_faults": Count(vmas), "lazy_prepares": Count(vmas), "chains_kept": Count(0)},
    )


@scenario(SET_UP, Step("all write to all", _first_touch(N), except_for=_OBJECTS), Step("write again"))
def threads_fault(stage: Stage) -> Iterator[None]:
    """Four threads write to the same 101 VMAs: each is prepared once, whoever is first"""
    islands = stage.memory.islands(N)
    threads = stage.threads(THREADS)
    stage.use_all_cpus()
    mark = stage.memory.next_mark()
    yield

    def work(_number: int) -> None:
        for address in islands:
            write(address, Content(address, mark))

    threads.run(work)
    stage.memory.expect_written(islands, mark)
    yield
    stage.memory.fill(islands)
    yield


FORKS, MARKS, PER_THREAD = 23, 5, 13


def _is_some_write(page: int, first_mark: int) -> bool:
    """True when every word was written by one of the rounds, or by none: a fork may find a page half written."""
    words = syscalls.words(page)
    return all(
        word == 0 or (word & (1 << 48) - 1 == page + 8 * number and first_mark <= word >> 48 < first_mark + MARKS)
        for number, word in enumerate(words)
    )


@scenario(
    SET_UP,
    Step(
        "write and fork",
        events(first_faults=THREADS * PER_THREAD, forks=FORKS),
        except_for=(*_OBJECTS, "prepares", "lazy_prepares", "fork_chains", "promotions"),
    ),
    Step("write again"),
)
def threads_fault_and_fork(stage: Stage) -> Iterator[None]:
    """Four threads write while another forks 23 times; every child has pages of one round or the next"""
    islands = stage.memory.islands(THREADS * PER_THREAD)
    threads = stage.threads(THREADS)
    stage.use_all_cpus()
    first = stage.memory.next_mark()
    yield

    def work(number: int) -> None:
        for mark in range(first, first + MARKS):
            for address in islands[number::THREADS]:
                write(address, Content(address, mark))

    threads.start(work)
    torn = 0
    for _ in range(FORKS):
        parent = os.getpid()
        pid = fork()
        if pid == 0:
            die_with_parent(parent=parent)
            os._exit(0 if all(_is_some_write(page, first) for page in islands) else 1)
        torn += os.waitpid(pid, 0)[1] != 0
    threads.join()
    if torn:
        raise RuntimeError(f"{torn} of {FORKS} children have pages that nobody wrote")
    stage.memory.expect_written(islands, first + MARKS - 1)
    yield
    stage.memory.fill(islands)
    yield


ROUNDS, PAGES = 31, 3


@scenario(
    SET_UP,
    Step(
        "everything at once",
        events(forks=FORKS, vmas_anon=THREADS * PER_THREAD),
        except_for=(*_OBJECTS, "first_faults", "prepares", "lazy_prepares", "fork_chains", "promotions"),
    ),
    Step("write again"),
)
def threads_everything(stage: Stage) -> Iterator[None]:
    """Threads split, merge, move, drop and write their VMAs while another forks"""
    own = [stage.memory.islands(PER_THREAD, PAGES) for _ in range(THREADS)]
    other = [stage.memory.islands(PER_THREAD, PAGES, prot=0) for _ in range(THREADS)]
    threads = stage.threads(THREADS)
    stage.use_all_cpus()
    first = stage.memory.next_mark()
    yield

    def work(number: int) -> None:
        here, there = own[number], other[number]
        for turn in range(ROUNDS):
            for source, target in zip(here, there):
                for page in range(source, source + PAGES * PAGE, PAGE):
                    write(page, Content(page, first))
                mprotect(source + PAGE, PAGE, PROT_READ)
                mprotect(source + PAGE, PAGE, PROT_RW)
                if turn % 3 == 0:
                    mremap(source, PAGES * PAGE, PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target)
                    mremap(target, PAGES * PAGE, PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, source)
                if turn % 5 == 0:
                    madvise(source + 2 * PAGE, PAGE, "DONTNEED")
                    write(source + 2 * PAGE, Content(source + 2 * PAGE, first))

    threads.start(work)
    for _ in range(FORKS):
        parent = os.getpid()
        pid = fork()
        if pid == 0:
            die_with_parent(parent=parent)
            os._exit(0)
        os.waitpid(pid, 0)
    threads.join()
    for islands in own:
        stage.memory.expect_written(islands, first, PAGES)
    yield
    for islands in own:
        stage.memory.fill(islands, PAGES)
    yield
