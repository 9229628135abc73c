# SPDX-License-Identifier: MIT
"""Order, trees and cgroups."""

from __future__ import annotations

from lazyobs.screen import rows
from tests.screen.screens import process

GLYPHS = ("├─ ", "└─ ", "│  ")


def pids(found):
    return [row.process.pid for row in found if row.process]


def test_reversed_the_unknown_still_come_last():
    found = [process(3, vmas=23), process(5, vmas=None), process(7, vmas=101)]
    assert pids(rows.flat(found, "vmas", False)) == [7, 3, 5]
    assert pids(rows.flat(found, "vmas", True)) == [3, 7, 5]


def test_children_stand_below_their_parents_in_order():
    family = ((1, 0, 5), (2, 1, 7), (3, 1, 11), (4, 3, 13), (5, 2, 17))
    made = rows.tree([process(pid, ppid=ppid, vmas=vmas) for pid, ppid, vmas in family], "vmas", False, GLYPHS)
    assert [(row.process.pid, row.prefix) for row in made] == [
        (1, ""), (3, "├─ "), (4, "│  └─ "), (2, "└─ "), (5, "   └─ "),
    ]  # fmt: skip


def test_a_loop_of_parents_loses_nobody():
    found = [process(pid, ppid=ppid) for pid, ppid in ((2, 3), (3, 2), (5, 5))]
    assert sorted(pids(rows.tree(found, "pid", False, GLYPHS))) == [2, 3, 5]


def test_a_tree_may_be_deeper_than_the_stack():
    count = 5003
    made = rows.tree([process(pid, ppid=pid - 1) for pid in range(1, count + 1)], "pid", False, GLYPHS)
    assert pids(made) == list(range(1, count + 1))


def test_cgroups_have_the_sums_of_what_is_known():
    found = [process(3, cgroup="/a", vmas=23, prepares=None), process(5, cgroup="/a", vmas=101, prepares=7), process(7, cgroup=None, vmas=211)]  # fmt: skip
    made = rows.by_cgroup(found, "vmas", False, frozenset(), ("v", ">"))
    assert [(row.label, row.get("vmas"), row.get("prepares"), row.get("pid")) for row in made if row.process is None] == [
        ("v (cgroup unknown)", 211, 0, 1), ("v /a", 124, 7, 2),
    ]  # fmt: skip
    assert pids(made) == [7, 5, 3]


def test_a_folded_cgroup_keeps_its_processes_to_itself():
    made = rows.by_cgroup(
        [process(3, cgroup="/a"), process(5, cgroup="/b")], "comm", False, frozenset({"/a"}), ("v", ">")
    )
    assert [row.label or row.process.pid for row in made] == ["> /a", "v /b", 5]
    assert [rows.group_path(row) for row in made] == ["/a", "/b", None]
