# SPDX-License-Identifier: MIT
"""A sample read back from its JSON has the same JSON; anything else is refused."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from lazyobs.model import CENSUS_NAMES, HEALTH_NAMES, Sample
from lazyobs.views.lines import json_line
from tests.recording.samples import sample


def document() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(json_line(sample(7, processes=23).as_json()))
    return parsed


def test_the_same_json_again() -> None:
    line = json_line(sample(7, processes=23).as_json())
    assert json_line(Sample.from_json(json.loads(line)).as_json()) == line


def test_columns_of_a_later_lazyobs_are_null() -> None:
    old = document()
    del old["census"]["vmas_shared"], old["health"]["map_full"], old["processes"][3]["promotions"]
    read = Sample.from_json(old)
    assert set(read.census) == set(CENSUS_NAMES)
    assert set(read.health) == set(HEALTH_NAMES)
    assert (read.census["vmas_shared"], read.health["map_full"], read.processes[3].counts["promotions"]) == (None,) * 3


def _with(path: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(document())
    place: Any = changed
    *parts, last = path.split("/")
    for part in parts:
        place = place[int(part) if isinstance(place, list) else part]
    place[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("time", "now"),
        ("time", True),
        ("elapsed", float("inf")),
        ("kernel", None),
        ("kernel/release", "6.1\x1b[2J"),
        ("kernel/lazy_enabled", 1),
        ("tiers/slab", "\x1b]0;owned\x07"),
        ("tiers/\x1b[31m", "fentry"),
        ("totals/forks", [1]),
        ("totals/promotions_by_reason", {"fork": "many"}),
        ("slabs/0/cache", 5),
        ("slabs/0/merged_with", "x"),
        ("processes", {}),
        ("processes/0/pid", "1"),
        ("processes/0/vmas", float("nan")),
        ("histograms/prepare_seconds", {"buckets": 5, "sum": 1, "count": 1}),
        ("health/map_full", "none"),
        ("null_reasons", []),
    ],
)
def test_refused(path: str, value: Any) -> None:
    with pytest.raises(ValueError):
        Sample.from_json(_with(path, value))


@pytest.mark.parametrize("other", [None, [], 5, "x", {}, {"time": 1}])
def test_not_a_sample_at_all(other: Any) -> None:
    with pytest.raises(ValueError):
        Sample.from_json(other)
