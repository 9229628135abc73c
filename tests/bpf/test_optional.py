# SPDX-License-Identifier: MIT
"""Probe points that are left out unless they are asked for."""

from __future__ import annotations

import os

import pytest

from lazyobs.bpf import optional, plan
from lazyobs.bpf.points import POINTS
from lazyobs.errors import UsageError
from lazyobs.kernel.facts import Facts
from tests.harness import lazyobs


@pytest.fixture(scope="module")
def facts(bpf_state: object) -> Facts:
    return plan.gather()


def test_each_is_a_point_that_others_do_without() -> None:
    assert set(optional.COSTS) < {point.name for point in POINTS}
    assert not any(point.required for point in POINTS if point.name in optional.COSTS)


def _tiers(made: plan.Plan) -> dict[str, list[str]]:
    return {point["name"]: [one["tier"] for one in point["candidates"]] for point in made.points}


def test_they_are_left_out_with_the_reason_unless_asked_for(facts: Facts) -> None:
    names = tuple(optional.COSTS)
    alone, asked = plan.make(facts), plan.make(facts, also=names)
    assert _tiers(asked)["page_tables"] == ["fentry", "kprobe"]
    for name in names:
        assert _tiers(alone)[name] == [] and _tiers(asked)[name], name
        best = _tiers(asked)[name][0]
        assert alone.dropped[name][best].endswith(f"{optional.COSTS[name]}; --also {name} attaches it")
    others = {name: tiers for name, tiers in _tiers(asked).items() if name not in names}
    assert {name: _tiers(alone)[name] for name in others} == others


def test_what_the_kernel_refuses_is_the_reason_where_it_could_not_attach_anyway(facts: Facts) -> None:
    refused = {"fentry": "not here", "kprobe": "nor here"}
    made = plan.make(facts, tiers_refused=refused)
    assert made.dropped["page_tables"] == refused


def test_names_and_all(monkeypatch: pytest.MonkeyPatch) -> None:
    names = tuple(optional.COSTS)
    assert optional.named("", "--also") == () and optional.named(names[-1], "--also") == names[-1:]
    assert optional.named("all", "--also") == optional.named(",".join(reversed(names)), "--also") == names
    monkeypatch.delenv(optional.ALSO, raising=False)
    assert optional.asked_for() == ()
    monkeypatch.setenv(optional.ALSO, "all")
    assert optional.asked_for() == names
    monkeypatch.setenv(optional.ALSO, "page_tables,\x1b[31mslab")
    with pytest.raises(UsageError) as refused:
        optional.asked_for()
    assert "\x1b" not in str(refused.value) and optional.ALSO in str(refused.value)


@pytest.mark.parametrize("command", ["top", "trace", "census", "doctor", "export", "record", "selftest"])
def test_a_name_that_is_none_is_one_line(command: str) -> None:
    answer = lazyobs(command, "--also", "slab")
    assert answer.returncode == 2 and answer.stdout == ""
    (line,) = answer.stderr.strip().splitlines()
    assert "--also 'slab'" in line and "page_tables" in line and optional.ALSO not in os.environ
