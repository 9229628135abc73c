# SPDX-License-Identifier: MIT
"""Expectations and how they are compared: every number of every step must be able to fail."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lazyobs.kernel.profile import Profile
from lazyobs.model import CENSUS_NAMES, COUNTER_NAMES, Kernel, Process, Sample
from lazyobs.selftest import features, scenario
from lazyobs.selftest.expectations import EVENTS, Count, Expect, cloned, first_touch, forked, unmapped
from lazyobs.selftest.judge import Check, Judge
from lazyobs.selftest.readings import Span, Violations
from lazyobs.selftest.scenario import Step

SHARED_POOL = Profile("pool", "", pool_member="lazy_anon_vma", lazy_test="vma_flag")
WITHOUT_KSM = replace(SHARED_POOL, name="no-ksm", ksm_promotes=False)
OTHER_DESIGN = Profile("other", "", lazy_test="tag")
ALL = scenario.load()


class Exactly:
    """A reading of just these numbers."""

    def __init__(self, **found: int | None) -> None:
        self._found = {**dict.fromkeys(EVENTS, 0), **found}

    def observed(self) -> dict[str, int | None]:
        return dict(self._found)

    def of_others(self, counter: str) -> int | None:
        return 0


def _failed(judge: Judge, step: Step, reading: Exactly, **facts: int) -> set[str]:
    return {check.what for check in judge.checks(step, reading, facts) if not check.ok}


@pytest.mark.parametrize(
    ("design", "lazy"), [(SHARED_POOL, False), (SHARED_POOL, True), (WITHOUT_KSM, True)], ids=["off", "on", "no_ksm"]
)
@pytest.mark.parametrize("name", ALL)
def test_every_expectation_can_fail(name: str, design: Profile, lazy: bool) -> None:
    for step in ALL[name].steps:
        judge = Judge(design, lazy, interpreter_vmas=29)
        counts = step.expect.counts(lazy, design.ksm_promotes)
        found = {what: count.value(29) for what, count in counts.items()}
        right = judge.checks(step, Exactly(**found), step.expect.facts)
        assert all(check.ok and check.is_known for check in right), step.name
        for off in (-1, 1):
            wrong = replace(judge, off_by=off).checks(step, Exactly(**found), step.expect.facts)
            assert len(wrong) == len(right)
            assert not [check for check in wrong if check.ok], (step.name, off)


def test_an_event_that_is_not_named_must_not_happen() -> None:
    judge = Judge(None, False, 0)
    for event in EVENTS:
        assert _failed(judge, Step("quiet"), Exactly(**{event: 1})) == {event}
    assert _failed(judge, Step("quiet", except_for=("forks",)), Exactly(forks=1)) == set()


def test_a_fact_that_was_not_stated_fails() -> None:
    step = Step("facts", Expect(facts={"swapped": 23}))
    assert _failed(Judge(None, False, 0), step, Exactly()) == {"swapped"}
    assert _failed(Judge(None, False, 0), step, Exactly(), swapped=22) == {"swapped"}
    assert _failed(Judge(None, False, 0), step, Exactly(), swapped=23) == set()


def test_what_a_tier_cannot_know_is_not_judged() -> None:
    checks = Judge(None, False, 0).checks(Step("quiet"), Exactly(promotions=None), {})
    unknown = [check for check in checks if not check.is_known]
    assert [check.what for check in unknown] == ["promotions"]
    assert all(check.ok for check in unknown)


def test_another_design_is_held_to_what_is_true_of_all() -> None:
    step = Step("touch", first_touch(23))
    reading = Exactly(first_faults=23, lazy_prepares=23, anon_vma_allocs=23)
    assert _failed(Judge(SHARED_POOL, True, 0), step, reading) == {"anon_vma_allocs"}
    assert _failed(Judge(OTHER_DESIGN, True, 0), step, reading) == set()
    assert _failed(Judge(OTHER_DESIGN, True, 0), step, Exactly(first_faults=22)) == {"first_faults"}


def _events(name: str, step: str, design: Profile, **found: int) -> set[str]:
    (one,) = (one for one in ALL[name].steps if one.name == step)
    named = {"vmas_lazy": 0, "promotions.ksm": 0, "promotions.fork": 0, **found}
    return _failed(Judge(design, True, 0), one, Exactly(**named), **one.expect.facts)


def test_ksm_promotes_where_the_profile_does_not_deny_it() -> None:
    promoted = {"promotions": 23, "promotions.ksm": 23, "chain_allocs": 23, "vmas_lazy": -23}
    for name in ("ksm_merge_and_unmerge", "ksm_write", "ksm_fork", "ksm_swap"):
        assert _events(name, "merge", SHARED_POOL, **promoted) == set()
        assert _events(name, "merge", SHARED_POOL) == set(promoted)
        assert _events(name, "merge", WITHOUT_KSM) == set()
        assert _events(name, "merge", WITHOUT_KSM, **promoted) == set(promoted)


def test_a_fork_promotes_what_ksm_has_not() -> None:
    fork = {"forks": 1, "fork_chains": 23, "anon_vma_allocs": 23, "chain_allocs": 46}
    promotes = {**fork, "chain_allocs": 69, "promotions": 23, "promotions.fork": 23}
    assert _events("ksm_fork", "fork", SHARED_POOL, **fork) == set()
    assert _events("ksm_fork", "fork", WITHOUT_KSM, **promotes) == set()
    assert _events("ksm_fork", "fork", WITHOUT_KSM, **fork) == {"chain_allocs", "promotions", "promotions.fork"}


@pytest.mark.parametrize(
    ("found", "others", "ok"),
    [(23, 0, True), (22, 0, False), (24, 0, False), (24, 1, True), (25, 1, False), (22, 1, False)],
)
def test_events_of_others_widen_a_divided_count_by_no_more_than_they_are(found: int, others: int, ok: bool) -> None:
    assert Check("step", "promotions.fork", 23, found, others).ok is ok


def test_the_arithmetic_of_forks() -> None:
    assert forked(5).regular == {
        "forks": Count(1),
        "fork_chains": Count(5, 1),
        "anon_vma_allocs": Count(5, 1),
        "chain_allocs": Count(10, 2),
    }
    assert forked(5).lazy["chain_allocs"] == Count(15, 2)
    assert forked(5).lazy["promotions.fork"] == Count(5)
    assert forked(5, 3).lazy["promotions.fork"] == Count(0)
    assert forked(5, 3).regular["fork_chains"].value(interpreter_vmas=27) == 3 * (5 + 27)


def test_expectations_add_up() -> None:
    both = first_touch(3) + unmapped(2) + cloned(7, 5, "split")
    assert both.regular["chain_allocs"] == Count(10)
    assert both.regular["chain_frees"] == Count(2)
    assert both.lazy == {
        "first_faults": Count(3),
        "lazy_prepares": Count(3),
        "chain_allocs": Count(12),
        "promotions": Count(5),
        "promotions.split": Count(5),
    }


def test_scenarios_need_only_features_that_there_are() -> None:
    for one in ALL.values():
        assert set(one.needs) <= set(features.FEATURES), one.name
        assert one.about and len(one.about) < 110, one.name


def _with(pid: int, start: float, **counts: int) -> Sample:
    every = {**dict.fromkeys(COUNTER_NAMES, 0), **counts}
    process = Process(pid, start, "root", "python3", None, dict.fromkeys(CENSUS_NAMES, 0), every)
    return Sample(0.0, 1.0, Kernel("", "mainline", None), {}, {}, {}, {}, {}, [], [process], {}, {}, {})


def test_a_span_counts_what_the_processes_did_and_no_other() -> None:
    before, after = _with(101, 7.0, prepares=11, forks=2), _with(101, 7.0, prepares=34, forks=3)
    seen = Span(before, after, [101]).observed()
    assert (seen["prepares"], seen["forks"], seen["first_faults"]) == (23, 1, 23)
    assert Span(before, after, [102]).observed()["prepares"] is None
    # Another process under the same number began with nothing.
    assert Span(_with(101, 6.0, prepares=11), after, [101]).observed()["prepares"] == 34


def test_violations_are_told_once_whoever_caused_them() -> None:
    violations = Violations()
    readings: list[dict[str, int | None] | None] = [
        None, {"ledger": None, "walk_visits": 0}, {"ledger": None, "walk_visits": 2}, {"ledger": 1, "walk_visits": 2}
    ]  # fmt: skip
    found = []
    for counts in readings:
        sample = _with(101, 7.0)
        sample.totals["violations_by_invariant"] = counts
        found.append(violations.new(sample))
    assert found == [{}, {}, {"walk_visits": 2}, {"ledger": 1}]
