# SPDX-License-Identifier: MIT
"""Comparisons whose truth is known. The rates over many runs are bench/soak_truth.py's."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from typing import Any

import jsonschema
import numpy as np
import pytest

from lazyobs.errors import UsageError
from lazyobs.kernel.profile import NO_LAZY
from lazyobs.soak import compare as compared
from lazyobs.soak.calibrate import calibration
from lazyobs.soak.compare import compare
from lazyobs.soak.metrics import BYTES, DURATION, JUDGED, RATIO, SHARE, Metric
from lazyobs.soak.schema import verdict_schema
from lazyobs.soak.series import Distribution, Mark, Series
from lazyobs.soak.thresholds import load
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS, Finding, Verdict
from tests.soak.simulate import series

RULES = load()


def arm(seed: int, count: int = 5, **more: Any) -> list[Series]:
    return [series(1000 * seed + boot, 10, barrier=30, **more) for boot in range(count)]


def finding(verdict: Verdict, name: str) -> Finding:
    return next(one for one in verdict.findings if one.name == name)


def test_no_difference() -> None:
    words = [compare(arm(2 * run), arm(2 * run + 1), RULES).word for run in range(11)]
    assert words.count(PASS) >= 10 and FAIL not in words


def test_five_percent_with_five_boots_is_found() -> None:
    words = [compare(arm(2 * run), arm(2 * run + 1, slower=1.05), RULES).word for run in range(11)]
    assert words.count(FAIL) >= 10


def test_one_metric_is_named_and_the_others_pass() -> None:
    verdict = compare(arm(1), arm(2, slower=1.2, only="fork_seconds"), RULES)
    assert verdict.word == FAIL
    assert [one.name for one in verdict.reasons()] == ["fork time"]
    numbers = finding(verdict, "fork time").numbers
    assert numbers["low"] < 0.2 < numbers["high"]
    assert finding(verdict, "prepare time").outcome == PASS


def test_faster_is_no_regression() -> None:
    verdict = compare(arm(1), arm(2, slower=0.8), RULES)
    assert verdict.word == PASS
    assert not finding(verdict, "fork time").numbers["equivalent"]


def test_a_finding_claims_first_and_says_which_way_is_better() -> None:
    slower = finding(compare(arm(1), arm(2, slower=1.2), RULES), "fork time").text
    assert re.fullmatch(
        r"a regression: \d+\.\d% worse \(95% interval \d+\.\d% to \d+\.\d% worse, limit 5\.0%\); these boots could have shown \d\.\d%",
        slower,
    ), slower
    faster = finding(compare(arm(1), arm(2, slower=0.8), RULES), "fork time").text
    assert re.match(r"not worse: \d+\.\d% better \(95% interval \d+\.\d% to \d+\.\d% better, limit 5\.0%\)", faster), (
        faster
    )
    same = finding(compare(arm(1), arm(2), RULES), "fork time").text
    assert re.match(r"no difference that matters: .*% (better to .*% worse|worse|better), limit 5\.0%\)", same), same


@pytest.mark.parametrize(
    ("scale", "amount", "said"),
    [("ratio", 0.0, "no change"), ("ratio", math.log(1.5), "50.0% worse"), ("ratio", math.log(0.5), "50.0% better"),
     ("share", 0.02, "2.00 points worse"), ("share", -0.004, "0.40 points better"), ("share", 1e-9, "no change")],
)  # fmt: skip
def test_directions(scale: str, amount: float, said: str) -> None:
    """On the scale of a judgement more is worse, whatever sign the number has for people."""
    metric = Metric("x", "cost", scale, "s", np.array([1.0]), np.array([1.0]))
    assert compared._direction(metric, amount) == said


def test_success_that_falls_is_worse() -> None:
    base, new = (arm(seed) for seed in (1, 2))
    for series_ in new:
        good = series_.system["vmstat_pgmigrate_success"]
        bad = series_.system["vmstat_pgmigrate_fail"]
        series_.system["vmstat_pgmigrate_fail"] = bad + good * 0.4
    found = finding(compare(base, new, RULES), "page migration")
    assert found.outcome == FAIL and "points worse" in found.text and "better" not in found.text


@pytest.mark.parametrize("count", [1, 3])
def test_few_boots_are_inconclusive_and_say_so(count: int) -> None:
    verdict = compare(arm(1, count), arm(2, count, slower=1.5), RULES)
    assert verdict.word == INCONCLUSIVE
    assert f"{count} of base, {count} of new; 4 of each are needed" in finding(verdict, "boots").text


def test_recordings_of_one_boot_count_once() -> None:
    base = arm(1)
    twice = arm(1, 1, boot_id=base[0].identity["boot_id"])[0]
    twice.samples["time"] = twice.samples["time"] + 1e5
    verdict = compare([*base, twice], arm(2), RULES)
    assert finding(verdict, "boots").numbers["base"] == 5
    assert twice.name in finding(verdict, "one boot").text


def test_two_recordings_of_one_time_are_refused() -> None:
    base = arm(1)
    with pytest.raises(UsageError, match="of the same time of one boot"):
        compare(base, [*arm(2), dataclasses.replace(base[0], name="again")], RULES)


@pytest.mark.parametrize(("key", "value"), [("release", "6.13.0"), ("lazy_enabled", True), ("build_id", "0")])
def test_two_kernels_in_an_arm_are_refused(key: str, value: Any) -> None:
    base = [*arm(1, 4), *arm(3, 1, **{key: value})]
    with pytest.raises(UsageError, match=rf"--base: {base[0].name} and {base[4].name}: are not of one kernel \({key}"):
        compare(base, arm(2), RULES)


def test_expected_differences_are_listed_and_others_open() -> None:
    verdict = compare(arm(1), arm(2, release="6.13.0", lazy=0.9), RULES)
    assert verdict.word == PASS
    assert finding(verdict, "identity release").outcome == ""
    verdict = compare(arm(1), arm(2, cpus=4, lazyobs="0.2.0"), RULES)
    assert {one.name for one in verdict.reasons()} == {"identity cpus", "identity lazyobs"}


@pytest.mark.parametrize(("bytes_", "differs"), [(2088222720 + 4096, False), (1 << 30, True)])
def test_memory_may_differ_a_little(bytes_: int, differs: bool) -> None:
    names = {one.name for one in compare(arm(1), arm(2, memory_bytes=bytes_), RULES).findings}
    assert ("identity memory_bytes" in names) == differs


def test_another_workload_is_inconclusive() -> None:
    new = arm(2)
    for recording in new:
        recording.samples["forks"] = recording.samples["forks"] * 2
    verdict = compare(arm(1), new, RULES)
    assert verdict.word == INCONCLUSIVE
    assert "did not do the same work" in finding(verdict, "same forks a second").text


def test_what_one_boot_lacks_is_not_compared() -> None:
    new = arm(2)
    del new[3].distributions["fork_seconds"]
    found = finding(compare(arm(1), new, RULES), "fork time")
    assert found.outcome == INCONCLUSIVE
    assert "but only known of 5 of 5 boots of base and 4 of 5 of new" in found.text


def _promoting(boots: list[Series]) -> list[Series]:
    for one in boots:
        one.distributions["promotion_seconds"] = one.distributions["fork_seconds"]
    return boots


def _without_promotions(boots: list[Series], why: str) -> list[Series]:
    return [dataclasses.replace(one, last={**one.last, "null_reasons": {"totals.promotions": why}}) for one in boots]


def test_what_a_design_does_not_have_is_no_open_question() -> None:
    base = _without_promotions(arm(1), f"profile mainline: {NO_LAZY}")
    verdict = compare(base, _promoting(arm(2)), RULES)
    assert verdict.word == PASS
    assert "promotion time: the kernel of one arm has no lazy anon_vmas" in finding(verdict, "not compared").text


@pytest.mark.parametrize("why", ["kprobe: the kernel has no kprobe perf events", ""])
def test_what_a_lazy_kernel_does_not_show_is_one(why: str) -> None:
    verdict = compare(_without_promotions(arm(1), why), _promoting(arm(2)), RULES)
    assert verdict.word == finding(verdict, "promotion time").outcome == INCONCLUSIVE


def test_one_boot_of_another_design_is_an_open_question() -> None:
    base = _without_promotions(arm(1), f"profile mainline: {NO_LAZY}")
    base[2] = _without_promotions([base[2]], "the probe was refused")[0]
    assert compare(base, _promoting(arm(2)), RULES).word == INCONCLUSIVE


@pytest.mark.parametrize(
    ("count", "each", "word"),
    [
        (37, 1.0, PASS),
        (37, 90.0, INCONCLUSIVE),  # fewer, and of longer time altogether
        (0, 0.0, PASS),
        (99, 1.0, PASS),
    ],
)
def test_what_the_new_kernel_does_more_rarely(count: int, each: float, word: str) -> None:
    """Prepares that laziness spares: the few that are left are too few for a mean."""
    base, new = arm(1), arm(2)
    for one in new:
        prepares = one.distributions["prepare_seconds"]
        mean = prepares.sum / prepares.counts.sum()
        counts = np.zeros_like(prepares.counts)
        counts[10] = count
        one.distributions["prepare_seconds"] = Distribution(prepares.bounds, counts, mean * count * each * 2)
    verdict = compare(base, new, RULES)
    assert verdict.word == word
    if word == PASS:
        said = finding(verdict, "not compared").text
        assert f"prepare time: new has at most {count} in a boot" in said and "less time in every boot" in said
    # The other way round the new kernel does what the base hardly did: that is never passed over.
    assert compare(new, base, RULES).word == INCONCLUSIVE


def test_splats_of_either_arm() -> None:
    splat = Mark(1.0, "WARN", None, "WARNING: x")
    broken = [dataclasses.replace(arm(2, 1)[0], splats=[splat]), *arm(3, 4)]
    assert compare(arm(1), broken, RULES).word == FAIL
    assert compare(broken, arm(1), RULES).word == INCONCLUSIVE


def test_what_laziness_saves_has_an_interval() -> None:
    verdict = compare(arm(1), arm(2, lazy=0.9), RULES)
    numbers = finding(verdict, "anon_vma memory").numbers
    # 40 % of the anonymous VMAs are private, 90 % of those lazy: 36 % of 2,000 objects of 120 bytes
    assert numbers["low"] < -0.36 * 2000 * 120 < numbers["high"] < 0
    table = next(one for one in verdict.tables if one.title.startswith("slab KB"))
    assert [row[0] for row in table.rows] == ["anon_vma", "anon_vma_chain", "vm_area_struct"]


def test_what_is_no_level_is_in_no_table_of_levels() -> None:
    """Chains that share their slab: allocations less frees are no memory, and their difference saves nothing."""
    base, new = arm(1), arm(2, lazy=0.9)
    for recording in [*base, *new]:
        recording.barriers["anon_vma_chain"][:] = np.nan
    verdict = compare(base, new, RULES)
    assert "anon_vma_chain memory" not in {one.name for one in verdict.findings if one.numbers}
    table = next(one for one in verdict.tables if one.title.startswith("slab KB"))
    chains = next(row for row in table.rows if row[0] == "anon_vma_chain")
    assert chains[1:6] == (None,) * 5 and chains[6].startswith("level not known")
    for recording in [*base, *new]:
        for cache in ("anon_vma", "vm_area_struct"):
            recording.barriers[cache][:] = np.nan
    assert not [one for one in compare(base, new, RULES).tables if one.title.startswith("slab KB")]


def test_a_row_has_one_unit_and_no_negative_zero() -> None:
    base, new = arm(1), arm(2, lazy=0.9)
    for number, recording in enumerate([*base, *new]):
        recording.barriers["vm_area_struct"] = np.full(len(recording.barriers["time"]), 5003.0 - number / 1000)
    verdict = compare(base, new, RULES)
    slabs = next(one for one in verdict.tables if one.title.startswith("slab KB"))
    assert next(row for row in slabs.rows if row[0] == "vm_area_struct")[3:5] == ("+0.0%", 0.0)
    cells = json.dumps(verdict.as_json()["tables"])
    assert not re.search(r"-0(\.0+)?(?![.\d])", cells)
    for table in verdict.tables:
        for row in table.rows:
            if row[0] == "memory of VMAs and reverse maps":
                assert (row[1][-1], row[2][-1]) == ("M", "M")


def test_a_share_of_successes_is_judged_in_points() -> None:
    new = arm(2)
    for recording in new:
        recording.system["vmstat_pgmigrate_fail"] = recording.system["vmstat_pgmigrate_success"]
    found = finding(compare(arm(1), new, RULES), "page migration")
    assert found.outcome == FAIL and found.numbers["estimate"] == pytest.approx(-0.48, abs=0.01)


@pytest.mark.slow
def test_calibration_deals_the_boots_anew() -> None:
    numbers = finding(compare(arm(1), arm(2, slower=1.3), RULES, calibrate=True), "A/A calibration").numbers
    assert numbers["dealings"] == 252
    assert numbers["FAIL"] <= 0.05 and numbers["PASS"] >= 0.95
    assert numbers["found"]["0.2"] == 1.0


def test_a_step_of_the_calibration_moves_durations_alone() -> None:
    """It asks whether a longer time is found: more memory would be found instead."""
    values = np.array([1.0, 1.1, 1.2, 1.3, 1.4])
    kinds = [Metric(unit, JUDGED, RATIO, unit, values, values) for unit in (DURATION, "bytes", "instructions")]
    kinds += [
        Metric("share", JUDGED, SHARE, "", values, values),
        Metric("slab", JUDGED, BYTES, "bytes", values, values),
    ]
    moved: dict[str, set[float]] = {metric.name: set() for metric in kinds}

    def judge(dealt: list[Metric]) -> set[str]:
        for metric in dealt:
            together = np.concatenate([metric.base, metric.new])
            moved[metric.name].add(round(float(together.sum()), 6))
        return {PASS}

    calibration(kinds, judge, 0.05)
    still = {name for name, sums in moved.items() if len(sums) == 1}
    assert still == {"bytes", "instructions", "share", "slab"}


@pytest.mark.slow
def test_json_follows_the_schema() -> None:
    for verdict in (compare(arm(1), arm(2), RULES, True), compare(arm(1, 1), arm(2, 1), RULES)):
        jsonschema.validate(json.loads(json.dumps(verdict.as_json(), allow_nan=False)), verdict_schema())


def test_the_order_of_boots_does_not_matter() -> None:
    base, new = arm(1), arm(2)
    one, other = compare(base, new, RULES), compare(base[::-1], new[::-1], RULES)
    assert [found.text for found in one.findings if not found.recording] == [
        found.text for found in other.findings if not found.recording
    ]
    assert np.isfinite(finding(one, "fork time").numbers["p"])
