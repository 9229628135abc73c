# SPDX-License-Identifier: MIT
"""The ledger: what barrier readings prove, and what they do not."""

from __future__ import annotations

import random

from lazyobs.sources.ledger import Account, Ledger, LedgerReading

LIVE_AT_ATTACH, A_SLAB = 211, 39


def barrier(live: int, allocs: int, frees: int, **later: int) -> LedgerReading:
    """A reading at which nothing happened, or ``later`` of what is counted meanwhile."""
    after = Account(
        allocs + later.get("made", 0), frees + later.get("gone", 0), later.get("alloc_misses", 0), later.get("free_misses", 0)
    )  # fmt: skip
    return LedgerReading(live + later.get("free_objects", 0), A_SLAB, Account(allocs, frees), after)


def judged(*barriers: LedgerReading) -> tuple[list[int | None], int | None]:
    ledger = Ledger()
    return [ledger.judge(one) for one in barriers], ledger.violations


def test_nothing_is_known_before_the_second_reading() -> None:
    assert judged(barrier(LIVE_AT_ATTACH, 0, 0)) == ([None], None)
    assert judged(barrier(LIVE_AT_ATTACH, 0, 0), barrier(LIVE_AT_ATTACH + 2, 5, 3)) == ([None, None], 0)


def test_a_quiet_reading_is_exact() -> None:
    assert barrier(LIVE_AT_ATTACH, 101, 53).bounds() == (LIVE_AT_ATTACH - 48, LIVE_AT_ATTACH - 48)


def test_one_lost_object_is_one_violation_at_the_second_reading_after() -> None:
    lost = [barrier(LIVE_AT_ATTACH + 1, 0, 0), barrier(LIVE_AT_ATTACH + 1, 23, 23), barrier(LIVE_AT_ATTACH + 3, 25, 23)]
    assert judged(barrier(LIVE_AT_ATTACH, 0, 0), *lost) == ([None, None, 1, None], 1)


def test_an_object_freed_twice_is_one_too_few() -> None:
    gone = [barrier(LIVE_AT_ATTACH - 1, 7, 7)] * 3
    assert judged(barrier(LIVE_AT_ATTACH, 0, 0), *gone) == ([None, None, -1, None], 1)


def test_an_object_on_its_way_while_it_is_read_is_none() -> None:
    readings = [barrier(LIVE_AT_ATTACH + off, 0, 0) for off in (0, 1, 0, 1, 0)]
    assert judged(*readings) == ([None] * 5, 0)


def test_two_faults_are_two_violations() -> None:
    readings = [barrier(LIVE_AT_ATTACH + off, 0, 0) for off in (0, 1, 1, 3, 3, 3)]
    assert judged(*readings) == ([None, None, 1, None, 2, None], 2)


def test_skipped_runs_of_the_probes_explain_as_many_objects() -> None:
    allocated = [barrier(LIVE_AT_ATTACH + 3, 0, 0, alloc_misses=3)] * 2
    assert judged(barrier(LIVE_AT_ATTACH, 0, 0), *allocated)[1] == 0
    freed = [barrier(LIVE_AT_ATTACH - 3, 0, 0, free_misses=3)] * 2
    assert judged(barrier(LIVE_AT_ATTACH, 0, 0), *freed)[1] == 0
    too_few = [barrier(LIVE_AT_ATTACH - 4, 0, 0, free_misses=3)] * 2
    assert judged(barrier(LIVE_AT_ATTACH, 0, 0), *too_few)[1] == 1


def test_free_objects_on_slabs_that_are_in_use_again_are_no_violation() -> None:
    busy = [barrier(LIVE_AT_ATTACH, 0, 0, made=1, free_objects=A_SLAB)] * 2
    assert judged(barrier(LIVE_AT_ATTACH, 0, 0), *busy)[1] == 0


def test_any_honest_history_balances() -> None:
    """Whatever happens, and whenever in the reading it does: no alarm while every object is counted."""
    chance = random.Random(23)
    ledger = Ledger()
    allocs = frees = 0
    live = LIVE_AT_ATTACH
    for _ in range(1009):
        before = Account(allocs, frees)
        made, gone = chance.choice([(0, 0), (chance.randrange(23), chance.randrange(23))])
        first = chance.random()  # the part that happens before slabinfo is read
        early_made, early_gone = int(made * first), int(gone * first)
        active = live + early_made - early_gone
        active += chance.randrange(early_made * A_SLAB + early_gone + 1)
        allocs, frees, live = allocs + made, frees + gone, live + made - gone
        assert ledger.judge(LedgerReading(active, A_SLAB, before, Account(allocs, frees))) is None
        between = chance.randrange(101)
        allocs, live = allocs + between, live + between
    assert ledger.violations == 0
