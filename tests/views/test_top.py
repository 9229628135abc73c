# SPDX-License-Identifier: MIT
"""Selection, sorting, and what top prints of a sample."""

from __future__ import annotations

import csv
import io
import json
import os

import pytest

from lazyobs.errors import UsageError
from lazyobs.model import HOLD_PATHS, PROCESS_COLUMNS, Slab
from lazyobs.views import columns, lines, tables
from lazyobs.views.live_table import LiveTables
from lazyobs.views.process_filter import ProcessFilter
from lazyobs.views.top import TopOptions, run
from tests.recording.samples import family, fork
from tests.sources.handmade import HandmadeSource
from tests.views.handmade import process, sample


def options(**changed) -> TopOptions:
    chosen = ProcessFilter(**{name: changed.pop(name) for name in ("pids", "user", "cgroup") if name in changed})
    return TopOptions(**{
        "filter": chosen, "interval": 0.0, "iterations": 1, "batch": True, "output": "table", "views": ("processes",), "sort": "pid",
        **changed,
    })  # fmt: skip


class Recorded(HandmadeSource):
    """A source of prepared samples."""

    def __init__(self, *samples):
        self._samples = list(samples)

    def read(self):
        return self._samples.pop(0)


def test_numbers_sort_from_the_largest_and_the_unknown_comes_last():
    rows = [process(7, prepares=5), process(3, prepares=None), process(5, prepares=11), process(2, prepares=5)]
    assert [row.pid for row in columns.sort(rows, "prepares")] == [5, 2, 7, 3]


def test_text_and_pids_sort_upwards():
    rows = [process(7, comm="b"), process(3, comm="c"), process(5, comm="a")]
    assert [row.comm for row in columns.sort(rows, "comm")] == ["a", "b", "c"]
    assert [row.pid for row in columns.sort(rows, "pid")] == [3, 5, 7]


def test_an_unknown_column_names_the_known_ones():
    with pytest.raises(UsageError, match="use one of pid, "):
        columns.sort([], "weight")


def test_a_column_that_is_nearly_one_is_named():
    with pytest.raises(UsageError, match=r"\(did you mean savable_bytes\?\)"):
        columns.column("savablebytes")


def test_hostile_names_are_tamed_everywhere(capsys):
    hostile = process(3, comm="\x1b]0;owned\x07\n", cgroup="/\x1b[2J")
    for output in ("table", "csv", "json"):
        run(Recorded(sample(hostile)), options(output=output))
        assert not {"\x1b", "\x07"} & set(capsys.readouterr().out)


def test_spreadsheet_formulas_are_no_formulas():
    out = io.StringIO()
    lines.CsvWriter(out, ("pid", "comm")).write(sample(), [process(3, comm="=cmd|' /C calc'!A0")])
    assert list(csv.reader(io.StringIO(out.getvalue())))[1][2].startswith("'=")


def test_csv_has_one_head_line_and_every_column(capsys):
    run(Recorded(sample(process(3)), sample(process(3), process(5))), options(output="csv", iterations=2))
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["pid"] for row in rows] == ["3", "3", "5"]
    assert tuple(rows[0]) == ("time", *PROCESS_COLUMNS)


def test_json_shows_the_selected_rows_alone(capsys):
    run(Recorded(sample(process(3), process(5), process(7))), options(output="json", pids=(5,)))
    document = json.loads(capsys.readouterr().out)
    assert [row["pid"] for row in document["processes"]] == [5]


def test_it_ends_when_the_processes_of_p_have_ended(capsys):
    source = Recorded(sample(process(3)), sample(process(3)), sample(process(5)))
    run(source, options(pids=(3,), iterations=None))
    assert capsys.readouterr().out.count("lazyobs  kernel") == 2


def test_an_absent_process_is_a_usage_error():
    with pytest.raises(UsageError, match="no such process"):
        run(Recorded(sample(process(3))), options(pids=(4194303,)))
    with pytest.raises(UsageError, match="the census sees no memory of it"):
        run(Recorded(sample(process(3))), options(pids=(os.getpid(),)))


@pytest.mark.parametrize("name", columns.VIEWS)
def test_every_view_can_be_drawn_with_and_without_numbers(name):
    known, unknown = sample(process(3)), sample(process(3, prepares=None))
    for counter in list(unknown.totals):
        unknown.totals[counter] = None
    unknown.rates = {}
    assert tables.view(known, name, known.processes, "pid", LiveTables())
    assert tables.view(unknown, name, unknown.processes, "pid", LiveTables())
    assert tables.header(unknown)


@pytest.mark.parametrize("view", ["processes", "forks"])
@pytest.mark.parametrize("name", columns.COLUMNS)
def test_the_column_that_sorts_is_shown_once(view, name, capsys):
    run(Recorded(sample(process(3, comm="x"))), options(sort=name, views=(view,)))
    heading = capsys.readouterr().out.split("\n\n")[1].splitlines()[0]
    words = [word.strip() for word in heading.split("  ") if word.strip()]
    assert words.count(columns.COLUMNS[name].heading) == 1 and words[-1] == "COMMAND"


def test_the_header_marks_merged_slabs_and_tiers():
    text = "\n".join(tables.header(sample(process(3))))
    assert "anon_vma_chain 101 6.3K (with eventpoll_pwq)" in text
    assert "none: promotion" in text
    assert "anon_vma - -" in text


def test_a_slab_count_that_sheaves_blur_is_an_upper_bound():
    """7.3 had 1,035 active anon_vmas of which 120 were live; only a barrier knows."""
    drawn = sample()
    drawn.slabs = [Slab("anon_vma", 1035, 1050, 96, [], 1560), Slab("anon_vma_chain", 101, 211, 64, [], 7)]
    heading = "\n".join(tables.header(drawn))
    assert "anon_vma <=1035 " in heading and "anon_vma_chain 101 " in heading
    assert "1560" in tables.view(drawn, "slabs", [], "pid", LiveTables())
    assert drawn.as_json()["slabs"][0]["objects_free_at_most"] == 1560


def test_the_ledger_is_shown_with_its_error():
    """What slabinfo counts as active and may be free; of a recording it is not known."""
    drawn = sample()
    drawn.health["ledger_residual"] = -1035
    drawn.slabs = [Slab("vm_area_struct", 101, 211, 64, [], 7), Slab("anon_vma", 1035, 1050, 96, [], 1560)]
    assert "  ledger -1035 ±1560  " in tables.header(drawn)[-1]
    drawn.health["ledger_residual"] = None
    assert "  ledger -  " in tables.header(drawn)[-1]
    drawn.health["ledger_residual"] = 130
    drawn.slabs = [Slab("anon_vma", 1035, 1050, 96)]
    assert "  ledger 130  " in tables.header(drawn)[-1]


def test_what_was_gained_since_the_start_is_exact_beside_it():
    drawn = sample()
    drawn.slabs = [Slab("anon_vma", 1035, 1050, 96, [], 1560), Slab("vm_area_struct", 101, 211, 64, [], 7)]
    drawn.totals.update(anon_vma_allocs=331, anon_vma_frees=108)
    rows = [line.split() for line in tables.view(drawn, "slabs", [], "pid", LiveTables()).splitlines()]
    assert rows[0][6:8] == ["OBJECTS", "GAINED"]
    assert rows[1][:5] == ["anon_vma", "1035", "1560", "1050", "223"]
    assert rows[2][:5] == ["vm_area_struct", "101", "7", "211", "-"]
    drawn.totals["anon_vma_frees"] = None
    assert tables.view(drawn, "slabs", [], "pid", LiveTables()).splitlines()[1].split()[4] == "-"


def test_the_families_of_the_view_locks():
    drawn = sample()
    drawn.families = [family(7, comm="\x1b[31mred"), family(3, pid=None, comm=None)]
    heading, first, second = tables.view(drawn, "locks", [], "pid", LiveTables()).split("\n\n")[1].splitlines()
    assert heading.split() == [
        "FAMILY",
        "PID",
        "PROCESSES",
        "VMAS",
        "CHAINS",
        "WAITS",
        "WRITES",
        "TIME",
        "LONGEST",
        "COMMAND",
    ]
    assert first.split()[:7] == ["7", "101", "3", "211", "307", "23", "23"] and "\x1b" not in first
    assert second.split()[:2] == ["3", "-"] and second.split()[-1] == "-"


def test_how_long_the_lock_was_held_is_shown_where_it_is_known():
    drawn = sample()
    for path in HOLD_PATHS:
        drawn.histograms[f"lock_hold_seconds{{{path}}}"] = {
            "buckets": [],
            "sum": 0.25,
            "count": 0 if path == "clone" else 5,
        }
    parts = [part.splitlines() for part in tables.view(drawn, "locks", [], "pid", LiveTables()).split("\n\n")]
    (held,) = [part for part in parts if "HELD" in part[0]]
    assert held[0].split() == ["PATH", "HELD", "TIME", "<=", "MEAN", "<="]
    assert held[1].split() == ["fork", "5", "250ms", "50ms"] and len(held) == 1 + len(HOLD_PATHS)
    for path in HOLD_PATHS:
        drawn.histograms[f"lock_hold_seconds{{{path}}}"] = None
    assert "HELD" not in tables.view(drawn, "locks", [], "pid", LiveTables())


def test_the_slow_forks_of_the_view_forks():
    drawn = sample()
    drawn.slow_forks = [fork(0.25), fork(0.125, known=False)]
    heading, first, second = tables.view(drawn, "forks", [], "pid", LiveTables()).split("\n\n")[0].splitlines()
    assert heading.split() == [
        "PID", "SLOW", "FORK", "ANON_VMAS", "TABLES", "REST", "LOCK", "VMAS", "CHAINS", "THREADS", "COMMAND",
    ]  # fmt: skip
    assert first.split()[:7] == ["101", "250ms", "125ms", "31.2ms", "93.8ms", "62.5ms", "1009"]
    assert "\x1b" not in first
    assert second.split()[:9] == ["101", "125ms", "-", "-", "-", "-", "1009", "-", "7"]
