# SPDX-License-Identifier: MIT
"""The committed JSON schema is current, and what the tool prints is valid by it."""

from __future__ import annotations

import json

import jsonschema
import pytest

from lazyobs.model import COUNTERS, PROCESS_COLUMNS
from lazyobs.schema import sample_schema
from tests.harness import ROOT, lazyobs

COMMITTED = ROOT / "lazyobs/sample.schema.json"


def top(*options: str) -> list[dict]:
    answer = lazyobs("top", "-b", "-n", "3", "-d", "0.3", "-o", "json", *options, check=True)
    return [json.loads(line) for line in answer.stdout.splitlines()]


def test_committed_schema_is_current():
    assert json.loads(COMMITTED.read_text()) == sample_schema()


def test_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(sample_schema())


@pytest.mark.parametrize("tier", ["tracepoint", "procfs"])
def test_three_lines_validate(bpf, tier):
    lines = top("--tier", tier)
    assert len(lines) == 3
    validator = jsonschema.Draft202012Validator(json.loads(COMMITTED.read_text()))
    for line in lines:
        validator.validate(line)
    assert lines[0]["time"] < lines[1]["time"] < lines[2]["time"]


def test_every_null_counter_has_a_reason(bpf):
    (*_, line) = top()
    for counter in COUNTERS:
        if line["totals"][counter.name] is None:
            assert line["null_reasons"].get(f"totals.{counter.name}") or line["null_reasons"].get("totals")
    for name, value in line["health"].items():
        if value is None:
            assert line["null_reasons"].get(f"health.{name}") or line["null_reasons"].get("health")


def test_a_sample_of_the_wrong_shape_is_refused():
    schema = jsonschema.Draft202012Validator(sample_schema())
    process = dict.fromkeys(PROCESS_COLUMNS)
    assert not schema.is_valid({"time": 1.0})
    assert not schema.evolve(schema=sample_schema()["properties"]["processes"]).is_valid([process])  # pid null
