# SPDX-License-Identifier: MIT
"""Which findings a verdict shows first, and what it shows once."""

from __future__ import annotations

from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS, Finding, Verdict, together

BOOTS = [f"boot-{number}" for number in range(7)]


def conditions(outcome: str) -> list[Finding]:
    names = ("whole", "probes", "own CPU")
    return [Finding("validity", name, outcome, f"{boot} used much", boot) for boot in BOOTS for name in names]


def correct() -> list[Finding]:
    return [Finding("correctness", "kernel log", PASS, "no warning, bug or stall", boot) for boot in BOOTS]


def test_what_was_claimed_comes_before_what_it_rests_on() -> None:
    claim = Finding("leak", "anon_vma objects", INCONCLUSIVE, "neither shown nor ruled out", "boot-0")
    reasons = Verdict(INCONCLUSIVE, [*conditions(INCONCLUSIVE), claim]).reasons()
    assert [one.name for one in reasons] == ["anon_vma objects", "whole", "probes", "own CPU"]


def test_a_pass_is_what_was_claimed_without_the_conditions() -> None:
    claims = [Finding("leak", "anon_vma objects", PASS, f"at most {lost} lost", f"boot-{lost}") for lost in (3, 5)]
    reasons = Verdict(PASS, [*conditions(PASS), *correct(), *claims]).reasons()
    assert [(one.name, one.recording) for one in reasons] == [
        ("anon_vma objects", "boot-3"), ("anon_vma objects", "boot-5"), ("kernel log", "boot-0 and 6 more"),
    ]  # fmt: skip


def test_a_pass_of_conditions_alone_names_them() -> None:
    assert [one.name for one in Verdict(PASS, conditions(PASS)).reasons()] == ["whole", "probes", "own CPU"]


def test_failures_that_differ_are_each_shown() -> None:
    splats = [Finding("correctness", "kernel log", FAIL, f"{count} WARN", boot) for count, boot in enumerate(BOOTS)]
    assert Verdict(FAIL, splats).reasons() == splats


def test_the_same_once_with_the_number_of_recordings() -> None:
    found = together(conditions(INCONCLUSIVE))
    assert [(one.name, one.recording) for one in found] == [
        (name, "boot-0 and 6 more") for name in ("whole", "probes", "own CPU")
    ]
    assert together(found) == found
    assert together([Finding("cost", "fork time", PASS, "not worse")])[0].recording == ""
