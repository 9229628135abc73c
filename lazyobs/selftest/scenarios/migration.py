# SPDX-License-Identifier: MIT
"""Page migration: reverse-map walks remove every mapping of a page and restore it afterwards."""

from __future__ import annotations

import array
import contextlib
import ctypes
import os
from collections.abc import Iterator

from lazyobs.selftest import pagemap, syscalls
from lazyobs.selftest.expectations import Count, Expect, events, facts, first_touch, forked, walked
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.stage import Skip, Stage
from lazyobs.selftest.syscalls import PAGE, madvise

N = 101
_MOVE, _MOVE_ALL = 2, 4
_STILL_LAZY = Expect({"vmas_private": Count(0)}, {"vmas_lazy": Count(0)})


def _nodes_of(pages: list[int]) -> list[int]:
    """NUMA node of each page, or a negative errno."""
    addresses, status = array.array("Q", pages), array.array("i", [-1] * len(pages))
    _move_pages(addresses, None, status, 0)
    return list(status)


def _move_pages(
    addresses: array.array[int], nodes: array.array[int] | None, status: array.array[int], how: int
) -> None:
    def at(words: array.array[int] | None) -> ctypes.c_void_p | None:
        return None if words is None else ctypes.c_void_p(words.buffer_info()[0])

    with contextlib.suppress(OSError):  # ``status`` has the result for each page
        syscalls.syscall("move_pages", 0, len(addresses), at(addresses), at(nodes), at(status), how)


def move_to(pages: list[int], node: int, how: int = _MOVE) -> int:
    """Moves the pages to ``node``; returns how many are there afterwards."""
    addresses, status = array.array("Q", pages), array.array("i", [-1] * len(pages))
    _move_pages(addresses, array.array("i", [node] * len(pages)), status, how)
    return _nodes_of(pages).count(node)


def _away_from(stage: Stage, pages: list[int]) -> int:
    """Gathers the pages on one node; returns the node to move them to next."""
    first, second = stage.settings["numa"][:2]
    return int(second if move_to(pages, first) == len(pages) else first)


@scenario(
    SET_UP,
    Step("write", first_touch(N)),
    Step("move", facts(arrived=N) + walked(migrate=N, remove_migration=N) + _STILL_LAZY),
    Step("write again"),
    needs=("numa",),
)
def move_pages(stage: Stage) -> Iterator[None]:
    """move_pages to another node: two walks per page, no promotions, same contents"""
    islands = stage.memory.islands(N)
    yield
    stage.memory.fill(islands)
    away = 1 - _nodes_of(islands)[0] if set(stage.settings["numa"][:2]) == {0, 1} else _away_from(stage, islands)
    yield
    stage.fact(arrived=move_to(islands, away))
    yield
    stage.memory.fill(islands)
    yield


def _walks(to_migrate: int, to_put_back: int) -> Expect:
    """The migrate walk stops once the page is unmapped; remove_migration visits every VMA that could map it."""
    return events(
        rmap_walks__migrate=N,
        rmap_walks__remove_migration=N,
        rmap_walk_vmas__migrate=to_migrate * N,
        rmap_walk_vmas__remove_migration=to_put_back * N,
    )


@scenario(
    SET_UP,
    Step("fork", forked(N)),
    Step("move what both map", facts(arrived=N, childs=N) + _walks(2, 2)),
    Step("child writes"),
    Step("move what is ours alone", facts(arrived=N) + _walks(1, 2)),
    needs=("numa",),
)
def move_pages_of_fork(stage: Stage) -> Iterator[None]:
    """Pages that parent and child share move for both"""
    islands = stage.memory.islands(N)
    stage.memory.fill(islands)
    away = _away_from(stage, islands)
    home = next(node for node in stage.settings["numa"] if node != away)
    yield

    def body(inside: Stage) -> Iterator[None]:
        yield
        inside.fact(childs=_nodes_of(islands).count(away))
        yield
        inside.memory.fill(islands)
        yield

    child = stage.fork(body)
    child.advance()
    yield
    arrived = move_to(islands, away, _MOVE_ALL)
    stage.fact(arrived=arrived, **child.advance())
    yield
    child.advance()
    yield
    stage.fact(arrived=move_to(islands, home))
    yield


@scenario(
    SET_UP,
    Step("migrate", facts(arrived=N)),
    Step("write"),
    needs=("numa",),
)
def migrate_pages(stage: Stage) -> Iterator[None]:
    """migrate_pages moves the whole process, including the interpreter's pages"""
    islands = stage.memory.islands(N)
    stage.memory.fill(islands)
    away = _away_from(stage, islands)
    home = next(node for node in stage.settings["numa"] if node != away)
    yield
    old, new = ctypes.c_ulong(1 << home), ctypes.c_ulong(1 << away)
    syscalls.syscall("migrate_pages", 0, 64, ctypes.byref(old), ctypes.byref(new))
    stage.fact(arrived=_nodes_of(islands).count(away))
    yield
    stage.memory.fill(islands)
    yield


MANY, ROUNDS = 8191, 5


@scenario(
    SET_UP,
    Step("compact", facts(moved=1)),
    Step("write"),
    needs=("compaction", "frames"),
)
def compaction(stage: Stage) -> Iterator[None]:
    """Compaction moves scattered pages; their contents stay the same"""
    start = stage.memory.reserve(MANY)
    stage.memory.map(start, MANY)
    # The kernels of -rt have no huge pages, and refuse advice about them.
    if os.path.exists("/sys/kernel/mm/transparent_hugepage"):
        madvise(start, MANY * PAGE, "NOHUGEPAGE")
    syscalls.libc.memset(start, 1, MANY * PAGE)
    # Keep one page in 16, so that free blocks are fragmented.
    kept = [start + page * PAGE for page in range(0, MANY, 16)]
    for page in kept:
        madvise(page + PAGE, min(15 * PAGE, start + MANY * PAGE - page - PAGE), "DONTNEED")
    stage.memory.fill(kept)
    before = pagemap.frames(kept)
    yield
    moved = 0
    for _ in range(ROUNDS):
        with open("/proc/sys/vm/compact_memory", "w", encoding="ascii") as file:
            file.write("1")
        moved = sum(old != new for old, new in zip(before, pagemap.frames(kept)))
        if moved:
            break
    stage.note(f"{moved} of {len(kept)} pages moved")
    if not moved:
        raise Skip(f"compaction: none of {len(kept)} scattered pages moved in {ROUNDS} rounds")
    stage.fact(moved=1)
    yield
    stage.memory.fill(kept)
    yield
