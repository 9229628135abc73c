# SPDX-License-Identifier: MIT
"""What -p, -u, -c and the search leave of a sample."""

from __future__ import annotations

import pytest

from lazyobs.views.process_filter import ProcessFilter
from tests.views.handmade import process

PROCESSES = (
    process(3, "prog", cgroup="/system.slice/a.service"),
    process(5, "sh", user="nobody", cgroup="/systemd"),
    process(7, "myprog", cgroup="/system.slice"),
    process(11, "prog", cgroup=None),
)


@pytest.mark.parametrize(
    ("chosen", "pids"),
    [
        (ProcessFilter(), [3, 5, 7, 11]),
        (ProcessFilter(pids=(7, 3)), [3, 7]),
        (ProcessFilter(user="nobody"), [5]),
        (ProcessFilter(cgroup="system.slice"), [3, 7]),
        (ProcessFilter(cgroup="/system.slice/"), [3, 7]),
        (ProcessFilter(cgroup="/"), [3, 5, 7]),
        (ProcessFilter(cgroup="/system"), []),
        (ProcessFilter(words="PROG"), [3, 7, 11]),
        (ProcessFilter(words="11"), [11]),
        (ProcessFilter(words="slice"), [3, 7]),
        (ProcessFilter(words="[prog"), []),
        (ProcessFilter(pids=(3, 5), words="prog"), [3]),
    ],
)
def test_what_passes(chosen: ProcessFilter, pids: list[int]) -> None:
    assert [one.pid for one in chosen.of(PROCESSES)] == pids


def test_it_has_ended_when_none_of_the_pids_is_left() -> None:
    assert not ProcessFilter(pids=(3, 13)).has_ended(PROCESSES)
    assert ProcessFilter(pids=(13,)).has_ended(PROCESSES)
    assert not ProcessFilter(user="nobody").has_ended([]), "without -p nothing is waited for"
