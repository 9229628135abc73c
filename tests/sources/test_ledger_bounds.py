# SPDX-License-Identifier: MIT
"""The ledger: what barrier readings prove, and what they do not."""

from __future__ import annotations

import random
from typing import Any

from lazyobs.sources.ledger import Ledger, LedgerReading

BASE, APART = 23, 10.0  # orphans when nothing is lost, seconds between barriers


def reading(number: int, orphans: int, by_sites: int | None = None, **more: Any) -> LedgerReading:
    values = {"calm": True, "everyone": False} | more
    return LedgerReading(number * APART, orphans, orphans if by_sites is None else by_sites, **values)  # type: ignore[arg-type]


def judged(*readings: LedgerReading) -> tuple[list[int | None], int | None]:
    ledger = Ledger()
    return [ledger.judge(one) for one in readings], ledger.violations


def series(*orphans: int, **more: Any) -> tuple[list[int | None], int | None]:
    return judged(*(reading(number, count, **more) for number, count in enumerate(orphans)))


def test_nothing_is_known_before_the_second_reading() -> None:
    assert series(BASE) == ([None], None)
    assert series(BASE, BASE) == ([None, None], 0)


def test_one_lost_object_is_one_violation() -> None:
    lost = BASE + 1
    assert series(BASE, lost, lost, lost, lost, lost) == ([None, None, None, 1, None, None], 1)


def test_two_faults_are_two_violations() -> None:
    assert series(BASE, *[BASE + 1] * 3, *[BASE + 4] * 4) == ([None] * 3 + [1, None, None, 3, None], 2)


def test_an_object_on_its_way_while_it_is_read_is_none() -> None:
    assert series(*[BASE, BASE + 1, BASE + 7, BASE] * 11)[1] == 0


def test_it_has_to_stay_for_a_while() -> None:
    ledger = Ledger()
    found = [ledger.judge(LedgerReading(number / 2, BASE + (number > 0), BASE + (number > 0), True, True)) for number in range(41)]  # fmt: skip
    assert found == [None] * 40 + [None] and ledger.violations == 0
    assert ledger.judge(LedgerReading(20.5, BASE + 1, BASE + 1, True, True)) == 1


def test_a_reading_that_is_not_calm_proves_no_loss_and_bounds_it() -> None:
    assert series(BASE, *[BASE + 300] * 101, calm=False)[1] == 0
    mixed = [reading(0, BASE), reading(1, BASE + 5), reading(2, BASE + 2, calm=False), reading(3, BASE + 5)]
    assert judged(*mixed, reading(4, BASE + 5)) == ([None] * 4 + [2], 1)


def test_where_tasks_are_hidden_both_sources_have_to_say_it() -> None:
    grown = [reading(0, BASE, 0), *(reading(number, BASE + 11, 0) for number in range(1, 23))]
    assert judged(*grown)[1] == 0, "the VMAs of a task that BPF does not see"
    unseen_frees = [reading(0, BASE, 0), *(reading(number, BASE, 11) for number in range(1, 23))]
    assert judged(*unseen_frees)[1] == 0
    unseen_forks = [reading(number, BASE, -37 * number) for number in range(23)]
    assert judged(*unseen_forks)[1] == 0
    both = [reading(0, BASE, 0), *(reading(number, BASE + 5, 3) for number in range(1, 5))]
    assert judged(*both) == ([None, None, None, 3, None], 1)


def test_where_every_task_is_visited_an_allocation_that_no_probe_saw_counts() -> None:
    lost = [reading(0, BASE, 0), *(reading(number, BASE + 1, 0, everyone=True) for number in range(1, 5))]
    assert judged(*lost) == ([None, None, None, 1, None], 1)


def test_pages_of_ksm_explain_as_many() -> None:
    ksm = [reading(0, BASE), *(reading(number, BASE + 101, ksm=101) for number in range(1, 11))]
    assert judged(*ksm)[1] == 0
    more = [reading(0, BASE), *(reading(number, BASE + 103, ksm=101) for number in range(1, 5))]
    assert judged(*more)[0][3] == 2


def test_any_honest_history_balances() -> None:
    """Storms, processes on their way, hidden tasks that fork and grow: no alarm while nothing is lost."""
    chance = random.Random(23)
    for _ in range(101):
        ledger, sites, hidden = Ledger(), 0, BASE
        for number in range(211):
            sites -= chance.choice((0, 0, 0, 37))
            hidden += chance.choice((0, 0, 1, -1))
            storm = chance.randrange(503) if chance.random() < 0.5 else 0
            long_exit = chance.choice((0,) * 97 + (1, 23, 307))
            found = reading(number, hidden + storm + long_exit, sites + storm + long_exit, calm=storm == 0)
            assert ledger.judge(found) is None
        assert ledger.violations == 0
