# SPDX-License-Identifier: MIT
"""The table of invariants and everything made of it: document, doctor, views, events, triggers, metrics."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lazyobs import model
from lazyobs.bpf import causes, counts, event
from lazyobs.bpf.blanks import Switch
from lazyobs.bpf.points import POINTS
from lazyobs.exporter.cgroups import CgroupFold
from lazyobs.exporter.collector import LazyobsCollector
from lazyobs.invariants import IN_KERNEL, ROWS, reference
from lazyobs.kernel.functions import Functions
from lazyobs.kernel.kallsyms import Kallsyms
from lazyobs.kernel.profile import Profile
from lazyobs.recorder.triggers import TRIGGERS, Tick, Watch
from lazyobs.views import tables
from tests.exporter.host import Host
from tests.exporter.metrics import of_families
from tests.harness import ROOT, lazyobs
from tests.recording import made
from tests.views import handmade


def test_the_document_is_what_the_table_says() -> None:
    assert (ROOT / "docs/invariants.md").read_text() == reference(), "python -m lazyobs.invariants > docs/invariants.md"


def test_every_row_is_counted_and_its_points_exist() -> None:
    points = {point.name for point in POINTS}
    for row in ROWS:
        assert f"violations_{row.name}" in counts.TOTAL_COUNTS
        assert set(row.points) <= points
    (violation,) = (kind for kind in event.KINDS if kind.name == "violation")
    assert violation.details == model.INVARIANTS
    numbers = [counts.c_counts().index(f"#define INVARIANT_{name.upper()} {at}\n") for at, name in enumerate(IN_KERNEL)]
    assert numbers == sorted(numbers)


def test_what_judges_a_walk_is_attached_before_the_walk() -> None:
    order = [point.name for point in POINTS]
    for row in ROWS:
        if "rmap_walk" in row.points:
            assert max(order.index(point) for point in row.points) == order.index("rmap_walk")


def test_causes_are_those_whose_functions_are_there() -> None:
    symbols = b"ff00 T kthread\nff10 t __split_vma\nff20 T copy_vma.cold\nff30 T anon_vma_fork\nff40 T end\n"
    functions = Functions(Kallsyms(symbols, causes.FUNCTIONS), None, Profile("mainline", ""))
    assert causes.judged(functions) == ["fork", "split", "mremap"]
    fork, split, mremap = (1 << model.REASONS.index(reason) for reason in ("fork", "split", "mremap"))
    assert causes.values(functions) == {"CAUSES_JUDGED": fork | split | mremap}
    end_of_stack = 1 << 30
    assert causes.switches(functions)["CAUSES_AT"] == Switch(
        0xFF01, 0x40, ((0, end_of_stack), (0x10, split), (0x20, mremap), (0x30, fork)), 0, moves=True, in_loop=True
    )
    without_end = Kallsyms(symbols.replace(b"kthread", b"unknown"), causes.FUNCTIONS)
    assert causes.judged(Functions(without_end, None, functions.profile)) == []


def test_the_header_says_which() -> None:
    sample = handmade.sample()
    assert "violations 0  own CPU" in tables.header(sample)[-1]
    sample.totals["violations"] = 24
    sample.totals["violations_by_invariant"] = {
        "walk_visits": 23,
        "ledger": 1,
        "promotion_once": 0,
        "walk_complete": None,
    }
    assert "violations 24 (walk_visits 23, ledger 1)  own CPU" in tables.header(sample)[-1]
    sample.totals["violations"] = sample.totals["violations_by_invariant"] = None
    assert "violations -  own CPU" in tables.header(sample)[-1]


def test_one_that_cannot_be_watched_has_no_series() -> None:
    sample = Host().read()
    sample.totals["violations_by_invariant"] = dict.fromkeys(model.INVARIANTS, 0) | {
        "ledger": None,
        "walk_visits": None,
    }

    class Source:
        def read(self) -> model.Sample:
            return sample

        def close(self) -> None: ...

    metrics = of_families(LazyobsCollector(Source(), CgroupFold()).collect())
    found = {
        dict(labels)["invariant"]: value
        for (name, labels), value in metrics.items()
        if name == "lazyobs_violations_total"
    }
    assert found == dict.fromkeys(set(model.INVARIANTS) - {"ledger", "walk_visits"}, 0)


def test_the_trigger_fires_at_each_tick_that_brings_one() -> None:
    watch = Watch([TRIGGERS["violation"]])
    fired = [bool(watch.look(Tick(handmade.sample(), [], 0, violations=new))) for new in (None, 0, 1, 0, 2, None)]
    assert fired == [False, False, True, False, True, False]


def test_a_trace_shows_the_ledger_s_violations(tmp_path: Path) -> None:
    store = made.store(tmp_path / "r")
    made.append_sample(store, 1)
    store.append(
        "marks", {"time": [1.5], "stamp": [1], "kind": ["violation"], "value": [-3.0], "text": ["ledger: gone"]}
    )
    store.close()
    done = lazyobs("trace", "--replay", str(tmp_path / "r"), "-o", "json", "-e", "violation")
    (line,) = [json.loads(text) for text in done.stdout.splitlines()]
    assert (line["kind"], line["detail"], line["objects"], line["pid"]) == ("violation", "ledger", 3, None)
    others = lazyobs("trace", "--replay", str(tmp_path / "r"), "-o", "json", "-e", "fork")
    assert others.stdout == ""


def test_a_recording_from_before_has_none() -> None:
    document = handmade.sample().as_json()
    for name in list(document["totals"]):
        if name.startswith("violations"):
            del document["totals"][name]
    del document["exited"]["violations"]
    sample = model.Sample.from_json(document)
    assert sample.totals["violations"] is None and sample.totals["violations_by_invariant"] is None
    assert sample.exited["violations"] is None


@pytest.mark.parametrize("tier", ["tracepoint", "procfs"])
def test_doctor_lists_them_with_the_reasons(bpf: None, tier: str) -> None:
    answer = lazyobs("doctor", "-o", "json", "--tier", tier, check=True)
    found = {row["invariant"]: row for row in json.loads(answer.stdout)["invariants"]}
    assert tuple(found) == model.INVARIANTS
    for name, row in found.items():
        assert row["watched"] is (tier == "tracepoint" and name == "ledger"), row
        assert bool(row["why_not"]) is not row["watched"]


def test_every_null_has_a_reason(bpf: None) -> None:
    answer = lazyobs("top", "-b", "-n", "1", "-o", "json", "--tier", "tracepoint", check=True)
    sample = json.loads(answer.stdout)
    assert sample["totals"]["violations_by_invariant"] == dict.fromkeys(model.INVARIANTS)
    for name in model.INVARIANTS:
        assert sample["null_reasons"][f"totals.violations_by_invariant.{name}"]
