# SPDX-License-Identifier: MIT
"""Mistakes of a kernel, and what is kept of the tests that were tried on them."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lab import docs, kernels, kselftest, kselftest_runs, mutation_page, mutations, source
from lab.mutations import BATTERY, NONE, OURS
from lab.own_tests import OWN
from lazyobs.selftest import scenario
from tests.harness import ROOT, skip

pytestmark = pytest.mark.lab

# It runs in the guest, beside lab/guest.py, and is no module of the package.
GUEST = runpy.run_path(str(ROOT / "lab/guest/mutation.py"), run_name="in_a_test")
read_ktap, why_failed = GUEST["read_ktap"], GUEST["why_failed"]
PATCH = ROOT / "lab/patches/mutations-7.3.patch"


def a_run(name: str, test: str = OURS, lazy: bool = False, failed: Sequence[str] = (), end: str = "exit") -> Any:
    known = {"mutation": name, "lazy": lazy, "test": test, "failed": list(failed), "end": end}
    return {**known, "passed": 1, "skipped": 0, "status": 0, "seconds": 1.0}


def test_the_table_and_the_kernel_number_them_alike() -> None:
    text = kselftest.added_file(PATCH.read_text(), "mm/mutation.h")
    numbered = re.findall(r"^\tMUTATION_(\w+),", text, re.M)
    assert numbered == ["NONE", *(name.upper() for name in mutations.mutations())]
    assert len(numbered) > 20


def test_each_is_made_somewhere() -> None:
    """Each is named once where it is listed, and at least once in what is added to the kernel's code."""
    added = [line for line in PATCH.read_text().splitlines() if line.startswith("+")]
    for name in mutations.mutations():
        assert sum(bool(re.search(rf"\bMUTATION_{name.upper()}\b", line)) for line in added) >= 2, name


def test_its_scenarios_exist() -> None:
    known = scenario.load()
    for row in mutations.mutations().values():
        assert set(row.battery.split(",")) <= set(known), row.name


def test_the_patch_goes_onto_the_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = source.tree("linux-source-7.3")
    if not place.is_dir():
        skip("lab-source", "the source of 7.3 is not unpacked; run: make lab")
    pristine = source.originals("linux-source-7.3")
    patches = kernels.kernel("lab-mutant").patch_files()
    copy = tmp_path / "tree" / "linux"
    for name in source.touched(patches):
        path = next((folder / name for folder in (pristine, place) if (folder / name).exists()), None)
        if path and not (pristine / f"{name}.absent").exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes(path.read_bytes())
    monkeypatch.setenv("LAZYOBS_LAB_CACHE", str(tmp_path))
    source.apply_series(copy, patches, "of the cache")
    assert "mutation.o" in (copy / "mm/Makefile").read_text()


def test_results_of_a_program_are_read() -> None:
    text = "TAP version 13\n1..4\n# not ok 9 said\nok 1 a\nok 2 b # SKIP no swap\nnot ok 3 - c d\nnot ok 4 - c d\n"
    assert read_ktap(text) == {"passed": 1, "skipped": 1, "failed": ["c d"]}


def test_what_fails_without_a_mistake_says_nothing() -> None:
    without = a_run(NONE, failed=["flaky"])
    assert mutation_page.noticed(a_run("x", failed=["flaky"]), without) == []
    assert mutation_page.noticed(a_run("x", failed=["flaky", "new"]), without) == ["new"]
    assert mutation_page.noticed(a_run("x", end="kernel"), without) == ["dead"]
    assert mutation_page.noticed(a_run("x", end="timeout"), a_run(NONE, end="timeout")) == []


def test_a_boot_that_dies_is_a_result_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    waiting = mutations.tasks([OURS], ["walk_moved", "cow_small"], [False])
    assert [task["mutation"] for task in waiting] == [NONE, "walk_moved", "cow_small"]

    def lines(tasks: Sequence[Mapping[str, Any]], share: Path) -> Iterator[dict[str, Any]]:
        for task in list(tasks):
            known = {key: task[key] for key in ("mutation", "lazy", "test")}
            yield {"begins": known}
            if task["mutation"] == "walk_moved":
                return
            yield a_run(task["mutation"])

    monkeypatch.setattr(mutations, "said_by", lines)
    first = list(mutations.boot(waiting, tmp_path))
    assert [(run["mutation"], run["end"]) for run in first] == [(NONE, "exit"), ("walk_moved", "kernel")]
    assert [(run["mutation"], run["end"]) for run in mutations.boot(waiting, tmp_path)] == [("cow_small", "exit")]
    assert waiting == []


def test_a_mistake_in_lazy_vmas_is_tried_with_them_alone() -> None:
    tried = mutations.tasks([OURS, "rmap"], ["walk_lazy", "walk_file"], [False, True])
    keys = {mutations.key_of(task) for task in tried}
    assert ("walk_lazy", True, "rmap") in keys and ("walk_lazy", False, OURS) not in keys
    assert {("walk_file", lazy, OURS) for lazy in (False, True)} <= keys


def test_a_newer_result_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    mutations.keep([a_run("walk_file", failed=["old"]), a_run(NONE)], "7.3", path)
    mutations.keep([a_run("walk_file", failed=["new"])], "7.3", path)
    document = mutations.kept(path)
    assert [(run["mutation"], run["failed"]) for run in document["runs"]] == [(NONE, []), ("walk_file", ["new"])]
    assert json.loads(path.read_text())["release"] == "7.3"


def test_the_page_counts_who_notices() -> None:
    own = [a_run(name, test) for test in OWN for name in ("walk_file", "walk_child", NONE)]
    own[0] = a_run("walk_file", OWN[0], failed=["migrate.anon"])
    runs = [a_run(NONE), a_run("walk_file", failed=["a"]), a_run("walk_child", failed=["b"]), a_run("cow_ksm")]
    runs += [a_run(NONE, BATTERY), a_run("walk_child", BATTERY), *own]
    document = {"release": "7.3", "date": "2026-11-27", "runs": runs}
    text = mutation_page.page(document)
    (row,) = [line for line in text.splitlines() if "`walk_file`: a walk" in line]
    assert [cell.strip() for cell in row.split("|")][3:7] == ["1", "", "", "1"]
    by = mutation_page.counts(mutation_page.Results(document), list(mutations.mutations().values()))
    names = {key: [one.name for one in found] for key, found in by.items()}
    assert names["anon_rmap"] == ["walk_file", "walk_child"] and names["missed"] == ["cow_ksm"]
    assert names["kernel"] == ["walk_file"] and names["ours_alone"] == ["walk_child"]
    assert "Noticed by no test of ours: `cow_ksm`." in text


def test_what_is_kept_is_what_the_tests_are_for() -> None:
    """Each mistake that a user can see was tried and is noticed, and five by none of the kernel's own tests."""
    rows = list(mutations.mutations().values())
    by = mutation_page.counts(mutation_page.Results(mutations.kept()), rows)
    assert by["anon_rmap"] == by["visible"] == [row for row in rows if not row.unseen]
    assert len(by["ours_alone"]) >= 5


def test_the_page_and_the_letter_are_current() -> None:
    for path in (mutation_page.PAGE, mutation_page.LETTER):
        assert path.read_text() == docs.pages()[path], "run: python3 -m lab.docs"


def test_a_letter_fits_in_mail() -> None:
    assert max(map(len, mutation_page.LETTER.read_text().splitlines())) <= 76


def test_runs_are_summed() -> None:
    runs = [a_run("run 0"), a_run("run 1", failed=["a"]), a_run("run 2", failed=["a"], end="timeout")]
    summed = kselftest_runs.summed(runs)
    assert (summed["runs"], summed["failed"]) == (3, {"a": 2, "(timeout)": 1})


def test_runs_of_one_program_add_up(tmp_path: Path) -> None:
    path = tmp_path / "runs.json"
    row = {"kernel": "k", "lazy": False, "cpus": 1, "nodes": 2, "program": "p", "date": "2026-01-01"}
    first = {**row, **kselftest_runs.summed([a_run("run 0"), a_run("run 1", failed=["a"])])}
    second = {**row, "date": "2026-01-02", **kselftest_runs.summed([a_run("run 0", failed=["a", "b"])])}
    for one in (first, second):
        kselftest_runs.keep(one, path)
    (found,) = kselftest_runs.kept(path)
    assert (found["runs"], found["failed"], found["date"]) == (3, {"a": 2, "b": 1}, "2026-01-02")
    assert len(found["seconds"]) == 3
    kselftest_runs.keep({**second, "program": "q"}, path)
    assert kselftest_runs.kept(path) == [{**second, "program": "q"}]


def test_what_a_failed_test_has_said_is_kept() -> None:
    text = """TAP version 13
1..2
#  RUN           anon_rmap.huge_forked.migrate ...
# anon_rmap.c:523:migrate:Expected node_of(pid, address) (0) == to (1)
# anon_rmap.c:524:migrate:page 5, base: not migrated
# migrate: Test failed
#          FAIL  anon_rmap.huge_forked.migrate
not ok 1 anon_rmap.huge_forked.migrate
# anon_rmap.c:99:write:a note
ok 2 anon_rmap.huge_forked.write
"""
    assert why_failed(text) == [
        "anon_rmap.c:523:migrate:Expected node_of(pid, address) (0) == to (1)",
        "anon_rmap.c:524:migrate:page 5, base: not migrated",
    ]
    assert why_failed("ok 1 x\n") == []
