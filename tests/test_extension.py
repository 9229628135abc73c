# SPDX-License-Identifier: MIT
"""To add X, touch Y: CONTRIBUTING.md's table, tried on a copy of the tree.

Each test adds one row to a copy and looks for it in every view, in a process of its own that imports the copy.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lazyobs.bpf.event import KIND_NAMES
from lazyobs.bpf.points import points_feeding, stand_in
from lazyobs.model import CENSUS_NAMES, COUNTERS, HISTOGRAMS
from tests.harness import ROOT

EXECS = 23


class Tree:
    """A copy of what the package is made of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("lazyobs", "probes", "lab"):
            shutil.copytree(ROOT / name, path / name, ignore=shutil.ignore_patterns("__pycache__"))
        (path / "docs").mkdir()

    def insert(self, file: str, before: str, text: str) -> None:
        """``text`` in front of the first ``before``, which must be there."""
        target = self.path / file
        head, found, tail = target.read_text().partition(before)
        assert found, f"{file} has no {before!r}"
        target.write_text(head + text + before + tail)

    def append(self, file: str, text: str) -> None:
        with open(self.path / file, "a", encoding="utf-8") as opened:
            opened.write(text)

    def python(self, code: str, **keywords: Any) -> str:
        """What that code prints when it imports the copy."""
        environment = {**os.environ, "PYTHONPATH": str(self.path)}
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True, text=True, timeout=300, cwd=self.path, env=environment, **keywords,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, code: str) -> Any:
        return json.loads(self.python("import json\n" + code))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree")


def test_every_number_of_the_schema_is_fed() -> None:
    for name in (*(counter.name for counter in COUNTERS), *(histogram.name for histogram in HISTOGRAMS)):
        assert points_feeding(name) or name == "violations", name
    assert all(points_feeding(name) for name in CENSUS_NAMES)
    assert all(points_feeding(f"event.{kind}") for kind in KIND_NAMES if kind != "violation")
    assert stand_in("prepares") == ("slab", "prepares_by_site") and stand_in("forks") is None


_COUNTER = '    Counter("execs", "programs started by execve"),\n'
_AT_COUNTERS = '    Counter("violations"'
_SCHEMA_OF_EXECS = """
from lazyobs import schema
from lazyobs.bpf import counts
from lazyobs.exporter import reference
from lazyobs.exporter.families import FAMILIES
from lazyobs.recording import layout
from lazyobs.soak.engine import tables
from lazyobs.views.columns import COLUMNS
document = schema.sample_schema()["properties"]
print(json.dumps({
    "totals": "execs" in document["totals"]["properties"] and "execs_rate" in document["totals"]["properties"],
    "exited": "execs" in document["exited"]["properties"],
    "processes": "execs" in document["processes"]["items"]["properties"],
    "columns": {"execs", "execs_rate"} <= set(COLUMNS),
    "metrics": {"lazyobs_execs_total", "lazyobs_exited_execs_total"} <= {family.full_name for family in FAMILIES},
    "reference": "lazyobs_execs_total" in reference.reference(),
    "recorded": all("execs" in dict(layout.columns(table)) for table in ("samples", "processes")),
    "queried": "execs" in tables._FIXED["samples"],
    "probes": "#define COUNT_EXECS " in counts.c_counts(),
}))
"""
_COUNTED = f"""
import os, subprocess, sys, time
from lazyobs.sources.open import open_live
program = '''
import os, sys
left = int(sys.argv[1])
if len(sys.argv) == 2:
    print("ready", flush=True)
    sys.stdin.readline()
if left:
    os.execv(sys.executable, [sys.executable, "-c", os.environ["PROGRAM"], str(left - 1), "on"])
print("done", flush=True)
sys.stdin.readline()
'''
source = open_live(keep_root=True).source
worker = subprocess.Popen([sys.executable, "-c", program, "{EXECS}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True, env={{**os.environ, "PROGRAM": program}})
assert worker.stdout.readline() == "ready\\n"
def execs():
    return next(process.counts["execs"] for process in source.read().processes if process.pid == worker.pid)
before = execs()
worker.stdin.write("go\\n"); worker.stdin.flush()
assert worker.stdout.readline() == "done\\n"
after = execs()
worker.stdin.close(); worker.wait(); source.close()
print(json.dumps(after - before))
"""


def test_a_counter_of_an_existing_probe_takes_three_files(tree: Tree, bpf: None) -> None:
    tree.insert("lazyobs/model.py", _AT_COUNTERS, _COUNTER)
    tree.insert("lazyobs/bpf/points.py", '"forks", "fork_chains", "fork_seconds"', '"execs", ')
    tree.insert("probes/process.c", "	if (process)\n		bpf_get_current_comm", "	count(COUNT_EXECS, 1);\n")
    seen = tree.json(_SCHEMA_OF_EXECS)
    assert all(seen.values()), seen
    assert tree.json(_COUNTED) == EXECS


def test_a_counter_that_no_point_feeds_is_null_with_that_reason(tree: Tree, bpf: None) -> None:
    tree.insert("lazyobs/model.py", _AT_COUNTERS, _COUNTER)
    code = """
from lazyobs.sources.open import open_live
source = open_live(keep_root=True).source
sample = source.read()
print(json.dumps([sample.totals["execs"], sample.null_reasons["totals.execs"]]))
"""
    assert tree.json(code) == [None, "no probe point feeds execs"]


def test_a_probe_point(tree: Tree, bpf: None) -> None:
    row = """    Point(
        "renames",
        "threads that change their name",
        ("process.c",),
        (),
        fixed=(Fixed("task_rename", RAW_TRACEPOINT, "task_rename"),),
    ),
"""
    tree.insert("lazyobs/bpf/points.py", '    Point(\n        "slab",', row)
    tree.append("probes/process.c", "\nint task_rename(u64 *ctx)\n{\n	return 0;\n}\n")
    code = """
import io, contextlib
from lazyobs.sources.open import open_live
from lazyobs.views import doctor
from lazyobs.exporter.families import FAMILIES
source = open_live(keep_root=True).source
tiers = source.read().tiers
source.close()
text = io.StringIO()
with contextlib.redirect_stdout(text):
    doctor.show(None, None, "json", False)
found = next(point for point in json.loads(text.getvalue())["points"] if point["point"] == "renames")
print(json.dumps([tiers["renames"], found["tier"], found["about"]]))
"""
    assert tree.json(code) == ["tracepoint", "tracepoint", "threads that change their name"]


def test_a_metric(tree: Tree) -> None:
    row = '    Family("interval_seconds", GAUGE, "time since the last reading", "kernel", _single(lambda scrape: scrape.sample.elapsed)),\n'
    tree.insert("lazyobs/exporter/families.py", '    Family("build_info"', row)
    code = """
from lazyobs.exporter import reference
from lazyobs.exporter.families import FAMILIES
print(json.dumps([any(f.full_name == "lazyobs_interval_seconds" for f in FAMILIES),
                  "lazyobs_interval_seconds" in reference.reference()]))
"""
    assert tree.json(code) == [True, True]


def test_a_column_of_the_census(tree: Tree, bpf: None) -> None:
    tree.insert("lazyobs/model.py", '    ("saved_bytes", "anon', '    ("vmas_file", "VMAs of files"),\n')
    tree.insert("lazyobs/bpf/layouts.py", '        Field("classic_anon_vmas"', '        Field("vmas_file", "u32"),\n')
    tree.insert("lazyobs/bpf/layouts.py", '        Field("comm", "char", "name of the process, ended by a zero", 16),\n    ),\n)\nVMA_ROW', '        Field("unused", "u32"),\n')  # fmt: skip
    tree.insert("lazyobs/bpf/census.py", "    classic_anon_vmas: int", "    vmas_file: int\n")
    tree.insert("lazyobs/bpf/census.py", "    comm: bytes", "    unused: int\n")
    tree.insert(
        "probes/census.c",
        "	state->kind = vma_state(",
        "	if (READ(vma, vm_file))\n		state->row.vmas_file++;\n",
    )
    code = """
import os
from lazyobs.sources.open import open_live
from lazyobs.views.columns import COLUMNS
source = open_live(keep_root=True).source
sample = source.read()
own = next(process for process in sample.processes if process.pid == os.getpid())
by_maps = sum(line.split()[4] != "0" for line in open("/proc/self/maps"))
print(json.dumps([own.census["vmas_file"] - by_maps, sample.census["vmas_file"] >= by_maps, COLUMNS["vmas_file"].heading]))
"""
    assert tree.json(code) == [0, True, "FILE"]


def test_an_invariant(tree: Tree) -> None:
    row = (
        '    Invariant("demonstration", "two is more than one", "none", "by counting", "zero", "nothing", ("slab",)),\n'
    )
    tree.insert("lazyobs/invariants.py", '    Invariant(\n        "ledger"', row)
    code = """
from lazyobs import invariants, schema
from lazyobs.bpf import counts, event
from lazyobs.exporter import reference
totals = schema.sample_schema()["properties"]["totals"]["properties"]["violations_by_invariant"]["properties"]
print(json.dumps({
    "schema": "demonstration" in totals,
    "page": "two is more than one" in invariants.reference(),
    "probes": "#define INVARIANT_DEMONSTRATION " in counts.c_counts(),
    "count": "violations_demonstration" in counts.TOTAL_COUNTS,
    "events": "demonstration" in event.KINDS[event.KIND_NAMES.index("violation")].details,
    "metrics": "demonstration" in reference.reference(),
}))
"""
    seen = tree.json(code)
    assert all(seen.values()), seen


def test_a_profile(tree: Tree) -> None:
    text = '# SPDX-License-Identifier: MIT\nname = "novel"\nabout = "a design"\n\n[detect]\nfunctions = ["no_such_function"]\n'
    (tree.path / "lazyobs/kernel/profiles/novel.toml").write_text(text)
    code = """
from lazyobs.kernel import profile
print(json.dumps([one.name for one in profile.built_in()]))
"""
    assert "novel" in tree.json(code)


def test_a_scenario(tree: Tree) -> None:
    text = '''

@scenario(Step("wait"))
def waiting_only(stage: Stage) -> Iterator[None]:
    """Nothing is done"""
    yield
'''
    tree.append("lazyobs/selftest/scenarios/control.py", text)
    listed = tree.python(
        "from lazyobs.cli import main\nimport sys\nsys.argv = ['lazyobs', 'selftest', '--list']\nmain()"
    )
    assert any(line.startswith("waiting_only ") for line in listed.splitlines()), listed


def test_a_lab_kernel(tree: Tree) -> None:
    tree.append("lab/kernels.toml", '\n[kernel.lab-quiet]\nlike = "lab"\ncmdline = "quiet"\nabout = "says little"\n')
    code = """
from lab import docs, kernels
row = kernels.table()["lab-quiet"]
print(json.dumps([row.cmdline, row.profile, "| `lab-quiet` | says little |" in docs.page()]))
"""
    assert tree.json(code) == ["quiet", "lab", True]


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda tree: tree.insert("lazyobs/bpf/layouts.py", '        Field("uid", "u32"),', '        Field("odd", "u8"),\n'), "uid"),
        (lambda tree: tree.append("lazyobs/bpf/census.py", "\nCensusRow._fields = ()\nassert CensusRow._fields == tuple(f.name for f in CENSUS_ROW.fields), 'census_row'\n"), "census_row"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(tree: Tree, spoil: Callable[[Tree], None], named: str) -> None:
    spoil(tree)
    with pytest.raises(AssertionError, match=named):
        tree.python("import lazyobs.bpf.census")
