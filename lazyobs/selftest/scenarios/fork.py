# SPDX-License-Identifier: MIT
"""fork: the parent's chains are cloned, lazy VMAs are promoted, and writes separate the two."""

from __future__ import annotations

from collections.abc import Iterator

from lazyobs.selftest.expectations import (
    Count,
    Expect,
    also_forked,
    first_lazy_of_a_process,
    first_touch,
    forked,
    only_lazy,
)
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.stage import Body, Stage, writes

N = 23
_NO_LONGER_LAZY = Expect({}, {"vmas_lazy": Count(-N)})


@scenario(
    SET_UP,
    Step("write", first_touch(N)),
    Step("fork", forked(N) + _NO_LONGER_LAZY),
    Step("child writes"),
    Step("parent writes"),
    Step("fork again", forked(N, promoted=0)),
    Step("parent writes first"),
    Step("second child writes"),
    Step("children exit"),
    Step("write when alone again"),
)
def fork_and_write(stage: Stage) -> Iterator[None]:
    """Copy on write both ways: child first, then parent first; neither sees the other's writes"""
    islands = stage.memory.islands(N)
    yield
    stage.memory.fill(islands)
    yield

    def body(inside: Stage) -> Iterator[None]:
        yield  # holds what the parent had
        inside.memory.fill(islands)
        yield
        while True:
            yield  # and keeps its own

    first = stage.fork(body, "first child")
    first.advance()
    yield
    first.advance()
    yield
    stage.memory.fill(islands)
    first.advance()
    yield
    second = stage.fork(body, "second child")
    second.advance()
    yield
    stage.memory.fill(islands)
    yield
    second.advance()
    first.advance()
    yield
    first.end()
    second.end()
    yield
    stage.memory.fill(islands)
    yield


DEPTH, DEEP = 16, 5


@scenario(
    SET_UP,
    Step("write", first_touch(DEEP)),
    *(Step(f"generation {number}", forked(DEEP, number)) for number in range(1, DEPTH + 1)),
    Step("all write"),
    Step("all look again"),
)
def fork_chain(stage: Stage) -> Iterator[None]:
    """A chain of 16 generations: each fork clones a chain for every generation above"""
    islands = stage.memory.islands(DEEP)
    yield
    stage.memory.fill(islands)
    yield

    def generation(number: int) -> Body:
        """First it looks; when told again it has a child; then it passes on what it is told."""

        def body(inside: Stage) -> Iterator[None]:
            yield
            if number < DEPTH:
                below = inside.fork(generation(number + 1), f"generation {number + 1}")
                below.advance()
                yield
                for _ in range(DEPTH - number - 1):
                    below.advance()
                    yield
                below.advance()
            inside.memory.fill(islands[number % DEEP :])
            yield
            if number < DEPTH:
                below.advance()
            yield

        return body

    chain = stage.fork(generation(1), "generation 1")
    chain.advance()
    yield
    for _ in range(DEPTH - 1):
        chain.advance()
        yield
    chain.advance()
    stage.memory.fill(islands[:2])
    yield
    chain.advance()
    yield


WIDTH, WIDE = 16, 11


@scenario(
    SET_UP,
    Step("write", first_touch(WIDE)),
    Step("first fork", forked(WIDE)),
    *(Step(f"fork {number}", forked(WIDE, promoted=0)) for number in range(2, WIDTH + 1)),
    Step("all write"),
    Step("every second exits, the others look"),
)
def fork_wide(stage: Stage) -> Iterator[None]:
    """16 children of one parent, all alive: each fork clones every chain once"""
    islands = stage.memory.islands(WIDE)
    yield
    stage.memory.fill(islands)
    yield

    for number in range(WIDTH):
        stage.fork(writes(islands), f"child {number + 1}").advance()
        yield
    stage.memory.fill(islands)
    for child in stage.children:
        child.advance()
    yield
    for child in stage.children[::2]:
        child.end()
    for child in stage.children:
        child.advance()
    yield


@scenario(
    SET_UP,
    Step("fork", forked(N) + only_lazy(vmas_lazy=-N)),
    Step("child maps and writes", first_touch(N) + first_lazy_of_a_process()),
    Step("child forks", forked(N, 2) + also_forked(N)),
    Step("grandchild writes"),
)
def fork_of_new_vmas(stage: Stage) -> Iterator[None]:
    """VMAs that a child makes are its own: prepared or lazy in it, whatever its parent's are"""
    islands = stage.memory.islands(N)
    stage.memory.fill(islands)
    yield

    def body(inside: Stage) -> Iterator[None]:
        own = inside.memory.islands(N)
        yield
        inside.memory.fill(own)
        yield
        below = inside.fork(writes(), "grandchild")
        below.advance()
        yield
        below.advance()
        yield

    child = stage.fork(body)
    child.advance()
    yield
    for _ in range(3):
        child.advance()
        yield
