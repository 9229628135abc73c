# SPDX-License-Identifier: MIT
"""Growth of what processes and cgroups hold, from samples made by hand."""

from __future__ import annotations

from lazyobs.screen import rows
from lazyobs.sources.growth import Growth
from tests.views.handmade import process, sample


def _at(seconds: float, *processes):
    made = sample(*processes)
    made.time = 1_000_000.25 + seconds  # when the handmade processes began
    return made


def _holding(pid: int, chains: int, anon_vmas: int = 0, **more):
    return process(pid, chains_held=chains, anon_vmas_held=anon_vmas, **more)


def test_growth_is_what_came_since_the_first_sample():
    growth, idle = Growth(), _holding(3, 11)
    growth.note(_at(600, idle, _holding(5, 100, 7)))
    last = _at(720, idle, _holding(5, 201, 7), _holding(7, 23, 2))
    growth.note(last)
    assert [one.get("chains_held_growth") for one in last.processes] == [0, 101, 23]
    assert [one.get("anon_vmas_held_growth") for one in last.processes] == [0, 0, 2]
    assert [one.get("chains_held_per_minute") for one in last.processes] == [0, 50.5, 11.5]
    assert not idle.growth or idle.growth["chains_held_growth"] == 0  # one object in many samples


def test_a_process_that_has_just_begun_does_not_seem_to_grow_fastest():
    growth = Growth()
    growth.note(_at(600, _holding(3, 11)))
    newborn = _holding(7, 230)
    newborn.start_time += 659
    last = _at(660, _holding(3, 611), newborn)
    growth.note(last)
    assert [one.get("chains_held_per_minute") for one in last.processes] == [600.0, 230.0]


def test_what_is_not_counted_has_no_growth():
    growth = Growth()
    unknown = process(3, **dict.fromkeys(("chains_held", "anon_vmas_held")))
    growth.note(_at(600, unknown))
    last = _at(660, unknown)
    growth.note(last)
    assert last.processes[0].get("chains_held_growth") is None


def test_workers_that_are_replaced_add_up_to_nothing_in_their_cgroup():
    growth = Growth()
    growth.note(_at(600, *(_holding(pid, 50, cgroup="/web") for pid in range(10, 15)), _holding(3, 1, cgroup="/db")))
    last = _at(660, *(_holding(pid, 51, cgroup="/web") for pid in range(20, 25)), _holding(3, 24, cgroup="/db"))
    growth.note(last)
    found = rows.by_cgroup(last.processes, "chains_held_growth", False, frozenset(("/web", "/db")), (">", "v"), last.ended_growth)  # fmt: skip
    assert [
        (rows.group_path(row), row.get("chains_held_growth"), row.get("chains_held_per_minute")) for row in found
    ] == [
        ("/db", 23, 23.0),
        ("/web", 5, None),  # no minute says when those that ended held less
    ]
