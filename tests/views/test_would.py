# SPDX-License-Identifier: MIT
"""``census --would``: programs of living and ended processes, shares, and what designs would hold."""

from __future__ import annotations

import csv
import io
import json

from lazyobs.model import Program, Slab
from lazyobs.views import would
from tests.sources.handmade import HandmadeSource
from tests.views.handmade import process, sample

HELD = {
    "anon_vmas_held": 11, "chains_held": 13, "savable_bytes": 400, "savable_low_bytes": 100, "vmas": 23, "vmas_anon": 17,
}  # fmt: skip


class _Source(HandmadeSource):
    def __init__(self, made):
        self._made = made

    def read(self):
        return self._made


def _made():
    made = sample(
        process(3, "server", vmas_copied=211, prepares=101, fork_chains=23),
        process(5, "server", prepares=7, fork_chains=23),
        process(7, "\x1b[31mred"),
        process(9, "kthread"),
    )
    for one in made.processes[:3]:
        one.census.update(HELD)
    made.processes[2].census["vmas_copied"] = None
    made.slabs = [Slab("anon_vma", 1, 1, 104), Slab("anon_vma_chain", 1, 1, 64)]
    made.programs = [Program("server", 5, 2, 9, 303, 27, 4, 211, 31), Program("gone", 3, 0, 0, 0, 0, 0, 6, 6)]
    return made


def test_the_living_and_the_ended_are_one_program():
    found = {row.comm: row for row in would.by_program(_made())}
    assert list(found) == ["server", "\x1b[31mred", "gone"]
    server = found["server"]
    assert (server.processes, server.ended, server.forked, server.unknown) == (7, 5, 3, 0)
    assert (server.copying_forks, server.fork_vmas, server.fork_threads, server.forks_again) == (9, 303, 27, 4)
    assert (server.prepares, server.exclusive) == (211 + 101 + 7, 31 + 78 + 0)
    held = 11 * 104 + 13 * 64
    assert server.mainline_bytes == 2 * held and server.contexts == 2
    assert (server.lazy_bytes, server.promoted_bytes) == (2 * (held - 400), 2 * (held - 100))
    # Seven and three are known, of which three have forked; of one it is not known.
    assert would.never_forked(found.values()) == (10, 7, 1)


def test_what_is_not_known_is_null(capsys):
    made = _made()
    made.slabs = []
    for one in made.processes:
        one.counts = dict.fromkeys(one.counts)
    would.show(_Source(made), 0, (), "json")
    rows = {row["comm"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert rows["server"]["mainline_bytes"] is None and rows["server"]["copying_forks"] is None
    assert rows["gone"]["prepares"] == 6


def test_every_form(capsys):
    would.show(_Source(_made()), 0, (), "table")
    shown = capsys.readouterr().out
    assert "70% of 10 processes never forked; of 1 it is not known" in shown and "\x1b" not in shown
    would.show(_Source(_made()), 0, (), "csv")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["processes"] for row in rows] == ["7", "1", "3"] and "\x1b" not in rows[1]["comm"]
    would.show(_Source(_made()), 0, (5,), "json")
    document = json.loads(capsys.readouterr().out)
    assert [row["forked"] for row in document["rows"]] == [0]
    assert document["shares"] == {"processes": 10, "never_forked": 7, "unknown": 1}
    assert document["null_reasons"]["context_bytes"]


def test_where_nothing_is_counted_no_end_and_no_fork_is_said_to_be_missing(capsys):
    made = sample(process(3, "server"), process(5, "server"), process(7, "mixed"), process(9, "mixed", vmas_copied=211))
    for one in made.processes[:3]:
        one.counts, one.census = dict.fromkeys(one.counts), HELD | {"vmas_copied": None}
    made.processes[3].census["vmas"] = 23
    made.null_reasons["programs"] = "counting needs BPF"
    for pids in ((), (3, 9)):
        would.show(_Source(made), 0, pids, "json")
        assert {row["ended"] for row in json.loads(capsys.readouterr().out)["rows"]} == {None}
    would.show(_Source(made), 0, (), "table")
    table = capsys.readouterr().out.splitlines()
    shown = {cells[-1]: cells[1:3] for cells in map(str.split, table[1:-2])}
    assert shown == {"server": ["-", "-"], "mixed": ["-", ">=1"]}


def test_where_it_is_known_of_no_process_there_is_no_share(capsys):
    made = sample(process(3, "server"), process(5, "server"))
    for one in made.processes:
        one.counts, one.census = dict.fromkeys(one.counts), HELD | {"vmas_copied": None}
    would.show(_Source(made), 0, (), "table")
    assert "of none of 2 processes is it known whether it ever forked" in capsys.readouterr().out
