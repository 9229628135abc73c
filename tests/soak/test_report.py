# SPDX-License-Identifier: MIT
"""Verdicts on single recordings whose truth is known. The rates over many runs are bench/soak_truth.py's."""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from lazyobs.errors import UsageError
from lazyobs.soak import leak, schema
from lazyobs.soak.report import report
from lazyobs.soak.series import Column, Mark, Series
from lazyobs.soak.thresholds import load
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS, Finding
from tests.soak.simulate import NOISES, series

RULES = load()


def hours(seed: int = 1, **more: Any) -> Series:
    return series(seed, minutes=120, **more)


def finding(found: list[Finding], name: str) -> Finding:
    return next(one for one in found if one.name == name)


def of(recording: Series, name: str) -> Finding:
    return finding(report([recording], RULES).findings, name)


@pytest.mark.parametrize("noise", NOISES)
def test_steady_recordings_never_fail(noise: str) -> None:
    words = [report([series(seed, 30, NOISES[noise])], RULES).word for seed in range(11)]
    assert FAIL not in words


@pytest.mark.parametrize("noise", NOISES)
def test_hours_without_a_leak_pass(noise: str) -> None:
    assert report([series(1, 300, NOISES[noise])], RULES).word == PASS


@pytest.mark.parametrize("noise", NOISES)
def test_one_object_a_second_is_found_in_half_an_hour(noise: str) -> None:
    words = [report([series(seed, 30, NOISES[noise], leak=1.0)], RULES).word for seed in range(7)]
    assert words.count(FAIL) >= 6


@pytest.mark.parametrize("noise", ["steady", "diurnal", "growing"])
def test_the_slope_is_the_leak(noise: str) -> None:
    found = of(series(3, 240, NOISES[noise], leak=1.0), "anon_vma objects")
    assert found.outcome == FAIL
    assert found.numbers["estimate"] == pytest.approx(1.0, rel=0.2)
    assert found.numbers["unit"] == "objects/s" and found.numbers["source"] == "barrier"


def test_a_merged_cache_is_judged_by_its_ledger() -> None:
    recording = hours(leak=1.0)
    recording.barriers["anon_vma_chain"][:] = np.nan
    recording.identity = dict(recording.identity) | {"slab_merging": {"anon_vma_chain": ["fs_cache"]}}
    found = of(recording, "anon_vma_chain objects")
    assert (found.outcome, found.numbers["source"]) == (FAIL, "ledger")
    quiet = hours()
    quiet.barriers["anon_vma_chain"][:] = np.nan
    assert of(quiet, "anon_vma_chain objects").outcome == PASS


def test_without_counts_a_leak_stays_open() -> None:
    recording = hours(leak=10.0)
    for cache in ("anon_vma", "anon_vma_chain", "vm_area_struct"):
        recording.barriers[cache][:] = np.nan
    for name in ("anon_vma_allocs", "chain_allocs"):
        recording.samples[name][:] = np.nan
    verdict = report([recording], RULES)
    assert verdict.word == INCONCLUSIVE
    assert {one.outcome for one in verdict.findings if one.part == "leak"} == {INCONCLUSIVE}


def test_a_leak_that_the_processes_explain_is_none() -> None:
    """Twice the processes, twice the objects: however fast that is."""
    recording = hours(noise=dataclasses.replace(NOISES["growing"], grows=0.9))
    assert report([recording], RULES).word == PASS


@pytest.mark.parametrize(
    ("begin", "rate", "lost"),
    [(0.8, 10.0, 0.0), (0.75, 1.0, 0.0), (0.97, 0.0, 600.0), (0.8, 0.0, 5000.0), (0.03, 0.0, 600.0)],
)
def test_a_loss_does_not_pass_whenever_it_began(begin: float, rate: float, lost: float) -> None:
    recording = series(1, 480)
    passed = np.arange(481) / 480
    extra = np.maximum(passed - begin, 0) * 480 * 60 * rate + np.where(passed >= begin, lost, 0)
    recording.barriers["anon_vma"] += np.round(extra)
    found = of(recording, "anon_vma objects")
    assert found.outcome == (FAIL if rate else INCONCLUSIVE)
    assert ("since" in found.text) == bool(rate)
    assert found.numbers["high"] > rate / 2
    if rate:  # the time, and how many: not those of the part of the recording that was looked at
        onset = recording.barriers["time"][0] + begin * np.ptp(recording.barriers["time"])
        since = re.search(r"since (\d\d:\d\d UTC on \d+-\d\d-\d\d)", found.text)
        assert since is not None
        said = datetime.datetime.strptime(since[1], "%H:%M UTC on %Y-%m-%d").replace(tzinfo=datetime.timezone.utc)
        assert said.timestamp() == pytest.approx(onset, abs=0.02 * np.ptp(recording.barriers["time"]))
        low, high = (int(word.replace(",", "")) for word in re.search(r"([\d,]+) to ([\d,]+) objects lost", found.text).groups())  # type: ignore[union-attr]  # fmt: skip
        assert low <= extra.max() <= high < 1.2 * low


def test_a_change_is_no_rate_and_has_a_time() -> None:
    recording = hours()
    recording.barriers["anon_vma"][61:] *= 2
    found = of(recording, "anon_vma objects")
    assert found.outcome == INCONCLUSIVE and "not a rate" in found.text
    assert found.numbers["changed_at"] == pytest.approx(recording.barriers["time"][61], abs=60)


def test_what_the_counts_do_not_reach_does_not_pass() -> None:
    recording = hours()
    recording.barriers = {name: values[:61] for name, values in recording.barriers.items()}
    found = of(recording, "anon_vma objects")
    assert found.outcome == INCONCLUSIVE and "end 60 minutes before" in found.text


def test_growing_load_on_merged_caches_is_no_leak() -> None:
    for seed in range(7):
        recording = hours(seed, noise=NOISES["growing"])
        recording.barriers["anon_vma_chain"][:] = np.nan
        recording.samples["vmas_anon"] *= 1 + np.random.default_rng(seed).normal(0, 0.01, 121)
        found = of(recording, "anon_vma_chain objects")
        assert found.outcome != FAIL and found.numbers["live"] is None


def test_counters_that_drift_are_no_leak() -> None:
    """anon_vmas are counted both ways: what allocations less frees of theirs drift by, those of chains may, too."""
    drift: Column = 60 * np.arange(121, dtype=np.float64)
    recording = hours()
    recording.barriers["anon_vma_chain"][:] = np.nan
    for kind in ("anon_vma", "chain"):
        recording.samples[f"{kind}_frees"] = recording.samples[f"{kind}_frees"] - drift
    found = of(recording, "anon_vma_chain objects")
    assert found.outcome == INCONCLUSIVE
    assert found.text.startswith("allocations less frees may be wrong by 4,8")


def test_skipped_runs_of_the_probes_may_be_lost_objects() -> None:
    recording = hours()
    recording.barriers["anon_vma_chain"][:] = np.nan
    assert of(recording, "anon_vma_chain objects").outcome == PASS
    recording = with_column(recording, "health_recursion_misses", np.arange(121) * 7.0)
    found = of(recording, "anon_vma_chain objects")
    assert found.outcome == INCONCLUSIVE and "may be wrong by 840 objects" in found.text
    assert of(recording, "anon_vma objects").outcome == PASS


def test_a_load_that_moves_where_no_census_was_taken_is_no_leak() -> None:
    recording = hours(noise=dataclasses.replace(NOISES["growing"], grows=0.9))
    for name in ("vmas", "vmas_anon", "vmas_lazy", "processes"):
        recording.samples[name][61:] = np.nan
    found = of(recording, "anon_vma objects")
    assert found.outcome == INCONCLUSIVE and "end 5" in found.text and "minutes before" in found.text


def test_the_power_is_said_for_the_size_at_hand() -> None:
    small, large = (of(series(3, 30), "anon_vma objects"), of(_larger(series(3, 30), 12), "anon_vma objects"))
    assert "this recording could have shown a steady leak of " in small.text
    for power in ("power_rate", "power_loss"):
        assert large.numbers[power] == pytest.approx(12 * small.numbers[power], rel=0.2)


def _larger(one: Series, times: int) -> Series:
    for table in (one.samples, one.barriers):
        for name in ("vmas", "vmas_anon", "processes", "anon_vma", "anon_vma_chain", "vm_area_struct"):
            if name in table:
                table[name] = table[name] * times
    return one


def test_many_recordings_do_not_add_up_to_a_false_one() -> None:
    recordings = [series(seed, 30, NOISES["autocorrelated 0.9"]) for seed in range(43)]
    found = leak.findings(recordings, RULES)
    assert len(found) == 3 * 43 and FAIL not in {one.outcome for one in found}


BROKEN = {
    "enough data": lambda one: dataclasses.replace(one, samples={k: v[:11] for k, v in one.samples.items()}),
    "whole": lambda one: dataclasses.replace(one, marks=[]),
    "probes": lambda one: with_column(one, "health_probes_missing", 2),
    "events": lambda one: with_mark(one, "lost", 1e6),
    "maps": lambda one: with_column(one, "health_map_full", 1),
    "kernel log": lambda one: with_mark(one, "log_lost", 1),
    "gaps": lambda one: with_mark(one, "suspend", 1800),
    "clock": lambda one: with_mark(one, "clock_jump", -3),
    "own CPU": lambda one: with_column(one, "health_self_cpu_seconds", np.arange(121) * 30.0),
    "workload": lambda one: with_column(one, "vmas", np.linspace(1e3, 1e4, 121)),
    "switch": lambda one: dataclasses.replace(one, last=one.last | {"kernel": {"lazy_enabled": True}}),
    "barrier samples": lambda one: dataclasses.replace(one, barriers={k: v[:7] for k, v in one.barriers.items()}),
    "samples": lambda one: dataclasses.replace(one, marks=[*one.marks, *(Mark(float(t), "failed") for t in range(9))]),
}


def with_column(one: Series, name: str, values: Any) -> Series:
    return dataclasses.replace(one, samples=one.samples | {name: np.broadcast_to(np.float64(values), 121).copy()})


def with_mark(one: Series, kind: str, value: float) -> Series:
    return dataclasses.replace(one, marks=[Mark(one.samples["time"][60], kind, value), *one.marks])


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("leaking", [0.0, 10.0])
def test_what_is_not_valid_is_inconclusive(name: str, leaking: float) -> None:
    """Neither PASS nor, on account of statistics alone, FAIL."""
    verdict = report([BROKEN[name](hours(leak=leaking))], RULES)
    assert verdict.word == INCONCLUSIVE
    validity = [one for one in verdict.findings if one.part == "validity"]
    assert finding(validity, name).outcome == INCONCLUSIVE
    assert name in {one.name for one in verdict.reasons()}


def test_samples_that_a_limit_dropped_are_a_gap() -> None:
    recording = hours()
    keep = np.r_[0:40, 70:121]
    recording.samples = {name: values[keep] for name, values in recording.samples.items()}
    found = of(recording, "gaps")
    assert found.outcome == INCONCLUSIVE and "1800.0 s without samples in 1 gap " in found.text


def test_a_torn_recording_is_named() -> None:
    found = of(dataclasses.replace(hours(), torn=("samples-000001.arrows",)), "whole")
    assert found.outcome == INCONCLUSIVE and "samples-000001.arrows" in found.text


def test_a_splat_fails_whatever_else() -> None:
    splat = Mark(1.0, "WARN", None, "WARNING: CPU: 1 PID: 23 at mm/rmap.c:101 unlink_anon_vmas")
    recording = dataclasses.replace(hours(), splats=[splat, splat], marks=[])
    verdict = report([recording], RULES)
    assert verdict.word == FAIL
    assert "2 WARN; first: WARNING: CPU: 1" in finding(verdict.reasons(), "kernel log").text


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [(0, 0, PASS), (0, 512, FAIL), (0, 32, FAIL), (4096, 4096, PASS), (0, 4096, PASS), (512, 512, INCONCLUSIVE)],
)
def test_taint(before: int, after: int, outcome: str) -> None:
    recording = hours(tainted=before)
    recording.system["kernel_tainted"][60:] = after
    assert of(recording, "taint").outcome == outcome


def test_recordings_without_taint_can_be_read() -> None:
    recording = hours()
    del recording.system["kernel_tainted"]
    assert of(recording, "taint").outcome == ""


def test_invariants() -> None:
    counts = {"promotion_once": 3, "walk_complete": 0, "ledger": None}
    last = {"totals": {"violations_by_invariant": counts}, "null_reasons": {"totals.violations_by_invariant.ledger": "no slab point"}}  # fmt: skip
    found = report([dataclasses.replace(hours(), last=hours().last | last)], RULES).findings
    assert finding(found, "invariant promotion_once").outcome == FAIL
    assert finding(found, "invariant walk_complete").outcome == PASS
    assert finding(found, "invariant ledger").outcome == ""
    assert "no slab point" in finding(found, "invariant ledger").text


def test_two_recordings_of_one_time_are_refused() -> None:
    one = hours()
    other = dataclasses.replace(one, name="copy")
    with pytest.raises(UsageError, match=rf"{one.name} and copy: are of the same time of one boot"):
        report([one, other], RULES)


def test_a_boot_recorded_twice_in_turn_is_not() -> None:
    one = hours()
    later = hours(boot_id=one.identity["boot_id"])
    for table in (later.samples, later.barriers, later.system):
        table["time"] = table["time"] + 1e5
    assert len({found.recording for found in report([one, later], RULES).findings}) == 2


def test_saved_bytes_have_an_interval_and_the_table_a_source() -> None:
    recording = hours(lazy=0.9)
    verdict = report([recording], RULES)
    saved = finding(verdict.findings, "saved bytes").numbers
    assert saved["low"] < saved["estimate"] < saved["high"]
    table = verdict.tables[0]
    assert [row[0] for row in table.rows] == ["anon_vma", "anon_vma_chain", "vm_area_struct"]
    anon_vma = table.rows[0]
    assert anon_vma[1] > anon_vma[2] and "barrier samples; before by the census" in anon_vma[4]
    lazy = np.median(recording.samples["vmas_lazy"])
    assert anon_vma[1] - anon_vma[2] == pytest.approx(lazy * 120 / 1024, rel=0.02)


def test_the_table_has_no_level_where_only_changes_are_known() -> None:
    recording = hours(lazy=0.9)
    recording.barriers["anon_vma_chain"][:] = np.nan
    row = report([recording], RULES).tables[0].rows[1]
    assert row[:4] == ("anon_vma_chain", None, None, None)
    assert "level not known" in row[4] and "laziness spares" in row[4]


def test_the_table_without_a_census_has_no_numbers() -> None:
    recording = hours()
    recording.samples["savable_bytes"][:] = np.nan
    together, *caches = report([recording], RULES).tables[0].rows
    assert together[1] > 0 and together[2:4] == (None, None) and "savable is not known" in together[4]
    assert all(row[2] is None for row in caches[:2])
    assert "nan" not in str((together, caches))


def test_what_would_be_saved_is_taken_off_both_caches_together() -> None:
    """The census counts it in sum: with VMAs that were split, most of it is chains of VMAs that are not private."""
    recording = hours()
    recording.samples["vmas_private"][:] = 3
    recording.samples["savable_bytes"][:] = 64 * 1024
    together, anon_vma, chain = report([recording], RULES).tables[0].rows[:3]
    assert together[0] == "anon_vma and anon_vma_chain"
    assert together[1] == pytest.approx(anon_vma[1] + chain[1], abs=0.01)
    assert together[2] == pytest.approx(together[1] - 64, abs=0.01)
    assert anon_vma[2:4] == chain[2:4] == (None, None)


def test_json_follows_the_schema() -> None:
    committed = json.loads((Path(schema.__file__).parent / "verdict.schema.json").read_text())
    assert committed == schema.verdict_schema()
    for recording in (hours(), hours(leak=1.0), BROKEN["enough data"](hours())):
        document = json.loads(json.dumps(report([recording], RULES).as_json(), allow_nan=False))
        jsonschema.validate(document, committed)
