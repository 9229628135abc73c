# SPDX-License-Identifier: MIT
"""The past is kept in bounded memory, and what has not changed is kept once."""

from __future__ import annotations

from lazyobs.screen.history import History
from tests.screen.screens import process, sample


def at(time: float, *processes):
    made = sample(*processes)
    made.time = time
    return made


def test_what_has_not_changed_is_the_same_object():
    history = History()
    history.add(at(1.0, process(3, prepares=23), process(5)))
    history.add(at(2.0, process(3, prepares=23), process(5, prepares=7)))
    before, now = history
    assert before.processes[0] is now.processes[0]
    assert before.processes[1] is not now.processes[1]
    assert (before.tiers is now.tiers, before.null_reasons is now.null_reasons) == (True, True)


def test_the_past_ends_after_its_time():
    history = History(seconds=10.0)
    for second in range(31):
        history.add(at(float(second), process(3)))
    assert [one.time for one in history] == [float(second) for second in range(20, 31)]
    assert history.dropped == 20


def test_the_past_ends_at_its_weight_when_everything_changes():
    history = History(most_weight=1000)
    for second in range(101):
        history.add(at(second * 0.1, *(process(pid, prepares=second) for pid in range(1, 102))))
        assert history.weight <= 1000
    assert len(history) == 1000 // (101 + 8)


def test_a_sample_too_heavy_is_still_the_newest():
    history = History(most_weight=23)
    history.add(at(1.0, *(process(pid) for pid in range(1, 102))))
    history.add(at(2.0, *(process(pid) for pid in range(201, 302))))
    assert [one.time for one in history] == [2.0]
