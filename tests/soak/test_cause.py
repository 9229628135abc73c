# SPDX-License-Identifier: MIT
"""The cause of a leak: the culprit that holds it, or the path by which the objects came that none holds."""

from __future__ import annotations

import json
import sys

import numpy as np

from lazyobs.soak import cause, orphans, output
from lazyobs.soak.report import report
from lazyobs.soak.series import Series
from lazyobs.soak.thresholds import load
from lazyobs.soak.verdict import FAIL, Finding
from tests.harness import ROOT, lazyobs
from tests.soak.test_orphans import floor, recording
from tests.views.handmade import process

RULES = load()


def _holding(pid: int, objects: int, **more):
    return process(pid, chains_held=objects, anon_vmas_held=objects, vmas_anon=objects, **more)


def _with_holders(first, last) -> Series:
    series = recording(floor((31, 30)))
    series.holders, series.held_for = (first, last), 1800.0
    return series


def _who(series: Series) -> Finding:
    (found,) = [one for one in report([series], RULES).findings if one.name == cause.NAME]
    return found


def test_the_holder_is_named_with_growth_and_part():
    first = [_holding(7, 100, comm="postgres", ppid=1), _holding(9, 50, ppid=1)]
    last = [_holding(7, 3100, comm="postgres", ppid=1), _holding(9, 1050, ppid=1)]
    found = _who(_with_holders(first, last))
    assert (
        found.text
        == "postgres (pid 7): +3,000 chains and +3,000 anon_vmas (200/min), 75% of the growth; 100 to 3,100 chains and 100 to 3,100 anon_vmas"
    )
    assert found.outcome == "" and found.numbers["estimate"] == 6000


def test_none_is_named_where_none_has_grown():
    both = [_holding(7, 100), _holding(9, 50)]
    assert _who(_with_holders(both, both)).text == "none of the processes: together they hold no more than before"


def test_a_recording_that_does_not_know_says_nothing():
    unknown = [process(7, chains_held=None, anon_vmas_held=None)]
    assert cause.finding(_with_holders(unknown, unknown)) is None


def test_lost_objects_are_the_kernels_with_the_path_that_made_enough():
    series = recording(floor((17, 30), (14, 5030)))
    count = len(series.samples["time"])
    series.samples["prepares"] = np.linspace(0, 1000, count)
    series.samples["anon_vma_allocs"] = np.linspace(0, 91_000, count)
    found = orphans.finding(series, "anon_vma", RULES)
    assert found.outcome == FAIL
    assert "none of the processes: freed memory is kept by the kernel, of those made since: " in found.text
    assert "; fork alone made as many as were lost" in found.text


def test_the_own_chains_of_children_and_promotions_are_no_splits():
    series = recording(floor((17, 30), (14, 5030)))
    count = len(series.samples["time"])
    made = {"prepares": 0, "fork_chains": 40_000, "fork_anon_vmas": 40_000, "promotions": 2000, "chain_allocs": 82_003}
    for name, total in made.items():
        series.samples[name] = np.linspace(0, total, count)
    said = cause.of_lost(series, "anon_vma_chain", 5000, series.samples["time"][0])
    assert ": 0 by prepare, 80,000 by fork, 2,000 by promotion, 3 by split, merge or mremap; fork alone made" in said


def test_a_kernel_without_promotions_has_no_such_path():
    series = recording(floor((17, 30), (14, 5030)))
    count = len(series.samples["time"])
    for name, total in {"prepares": 0, "fork_chains": 4000, "chain_allocs": 17_000}.items():
        series.samples[name] = np.linspace(0, total, count)
    series.samples["promotions"] = np.full(count, np.nan)
    said = cause.of_lost(series, "anon_vma_chain", 5000, series.samples["time"][0])
    assert "8,000 by fork, 9,000 by split, merge or mremap" in said and "promotion" not in said


def test_a_pile_that_a_process_holds_is_its_own():
    series = _with_holders([_holding(7, 100, ppid=1)], [_holding(7, 2600, ppid=1)])
    assert cause.of_growth(series, 5000).startswith("prog (pid 7): +2,500 chains")
    assert cause.of_growth(series, 50_000) == "none of the processes: freed memory is kept by the kernel"


def test_report_names_the_leaking_command(bpf, tmp_path):
    """Recorded while it leaks 1,511 mappings: the whole way from the kernel to the report."""
    program = f"{sys.executable} {ROOT / 'tests/workloads/leaking.py'} mappings 1511"
    words = f"(echo go; sleep 4) | {program}"
    done = lazyobs("record", "-o", str(tmp_path / "r"), "--interval", "0.2", "--", "sh", "-c", words)
    assert done.returncode == 0, done.stderr
    document = json.loads(lazyobs("report", str(tmp_path / "r"), "-o", "json").stdout)
    (found,) = [one for one in document["findings"] if one["name"] == cause.NAME]
    assert found["text"].startswith("python") and ": by new anonymous VMAs" in found["text"]
    assert 3000 < found["numbers"]["estimate"] < 3200


def test_the_answer_stands_before_the_details(capsys):
    """The word, what it rests on, who it is; in 72 columns; then the table."""
    series = _with_holders([_holding(7, 100, comm="postgres", ppid=1)], [_holding(7, 3100, comm="postgres", ppid=1)])
    output.show(report([series], RULES), "table")
    lines = capsys.readouterr().out.splitlines()
    head = lines[: lines.index("")]
    assert head[0] in ("PASS", "INCONCLUSIVE") and all(len(line) <= 72 for line in head)
    assert 2 <= sum(line.startswith("* ") for line in head) <= 5
    assert any(line.startswith("* who holds the growth: postgres (pid 7): +3,000 chains") for line in head)
    assert lines[len(head) + 1].startswith("PART ")
