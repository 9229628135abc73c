# SPDX-License-Identifier: MIT
"""process_madvise: a process gives advice for another process's memory."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator

from lazyobs.selftest import pagemap, syscalls
from lazyobs.selftest.expectations import facts, forked, walked
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.stage import Stage
from lazyobs.selftest.syscalls import PAGE

N = 23


def _advise(pid: int, islands: list[int], advice: str) -> None:
    vector = (ctypes.c_uint64 * (2 * N))(*(word for page in islands for word in (page, PAGE)))
    fd = os.pidfd_open(pid)
    try:
        done = syscalls.syscall("process_madvise", fd, vector, N, syscalls.ADVICE[advice], 0)
    finally:
        os.close(fd)
    if done != N * PAGE:
        raise RuntimeError(f"process_madvise handled {done} of {N * PAGE} bytes")


def _with_child(stage: Stage, advice: str) -> Iterator[None]:
    islands = stage.memory.islands(N)
    stage.memory.fill(islands)
    yield

    def body(inside: Stage) -> Iterator[None]:
        yield
        inside.memory.fill(islands)
        yield
        expected, inside.memory.pages = inside.memory.pages, {}
        inside.fact(childs=pagemap.swapped(islands))
        yield
        inside.memory.pages = expected
        yield

    child = stage.fork(body)
    child.advance()
    yield
    child.advance()
    yield
    _advise(child.pid, islands, advice)
    stage.fact(**child.advance(), ours=pagemap.swapped(islands))
    yield
    child.advance()
    yield


@scenario(
    SET_UP,
    Step("fork", forked(N)),
    Step("child writes"),
    Step("advise", facts(childs=0, ours=0)),
    Step("child looks"),
    needs=("process_madvise", "cold"),
)
def process_madvise_cold(stage: Stage) -> Iterator[None]:
    """MADV_COLD for a child's pages leaves their contents unchanged"""
    return _with_child(stage, "COLD")


# Only the child maps each page; the walk finds it through the child's own anon_vma.
_WALKS = walked(unmap=N)


@scenario(
    SET_UP,
    Step("fork", forked(N)),
    Step("child writes"),
    Step("advise", facts(childs=N, ours=0) + _WALKS),
    Step("child looks"),
    needs=("process_madvise", "pageout", "swap"),
)
def process_madvise_pageout(stage: Stage) -> Iterator[None]:
    """MADV_PAGEOUT for a child's pages swaps them out; the parent's stay in memory"""
    return _with_child(stage, "PAGEOUT")
