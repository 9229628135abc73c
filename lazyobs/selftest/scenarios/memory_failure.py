# SPDX-License-Identifier: MIT
"""Soft offline: the kernel retires a frame that still works and moves its page to another frame."""

from __future__ import annotations

from collections.abc import Iterator

from lazyobs.selftest import pagemap
from lazyobs.selftest.expectations import facts, first_touch, forked, walked
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.stage import Stage
from lazyobs.selftest.syscalls import PAGE, madvise

N = 5


def _offline(stage: Stage, islands: list[int]) -> int:
    """Soft-offlines the pages; returns how many changed frames. Records the old frames first, for unpoisoning."""
    before = pagemap.frames(islands)
    with open(stage.settings["unpoison"], "a", encoding="ascii") as file:
        file.writelines(f"{frame}\n" for frame in before)
    for address in islands:
        madvise(address, PAGE, "SOFT_OFFLINE")
    return sum(old != new and new != 0 for old, new in zip(before, pagemap.frames(islands)))


@scenario(
    SET_UP,
    Step("write", first_touch(N)),
    Step("offline", facts(moved=N) + walked(migrate=N, remove_migration=N)),
    Step("write again"),
    needs=("soft_offline", "unpoison", "frames"),
)
def soft_offline(stage: Stage) -> Iterator[None]:
    """MADV_SOFT_OFFLINE moves the page to another frame with its contents"""
    islands = stage.memory.islands(N)
    yield
    stage.memory.fill(islands)
    yield
    stage.fact(moved=_offline(stage, islands))
    yield
    stage.memory.fill(islands)
    yield


@scenario(
    SET_UP,
    Step("fork", forked(N)),
    Step("offline", facts(moved=N, childs=N)),
    Step("child writes"),
    needs=("soft_offline", "unpoison", "frames"),
)
def soft_offline_of_fork(stage: Stage) -> Iterator[None]:
    """Soft offline moves a shared page for parent and child"""
    islands = stage.memory.islands(N)
    stage.memory.fill(islands)
    yield

    def body(inside: Stage) -> Iterator[None]:
        before = pagemap.frames(islands)
        yield
        inside.fact(childs=sum(old != new for old, new in zip(before, pagemap.frames(islands))))
        yield
        inside.memory.fill(islands)
        yield

    child = stage.fork(body)
    child.advance()
    yield
    moved = _offline(stage, islands)
    stage.fact(moved=moved, **child.advance())
    yield
    child.advance()
    yield
