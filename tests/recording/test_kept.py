# SPDX-License-Identifier: MIT
"""Recordings of earlier versions, kept as those versions wrote them: each command reads them, and says what it said.

A recording is data of others by now: a change that makes one of these fail takes a new version of the format
(recording/layout.py), and a reader for the old one. A release adds a recording of its own here; none is ever replaced.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lazyobs.recording.reader import Recording
from tests.harness import lazyobs

KEPT = Path(__file__).parent / "kept"
# What the version itself said of its recording.
SAID: dict[str, dict[str, Any]] = {
    "0.1.0": {
        "samples": 24,
        "segments": [1],
        "last": {
            "prepares": 21,
            "lazy_prepares": 596,
            "forks": 66,
            "fork_chains": 27501,
            "promotions": 594,
            "rmap_walks": 510,
            "anon_vma_allocs": 27502,
            "chain_allocs": 55877,
        },
        "processes": 114,
        "events": {"promotion": 590, "fork": 66, "rmap_walk": 1},
    },
}


@pytest.fixture(params=SAID)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_version_is_kept() -> None:
    assert {place.name for place in KEPT.iterdir()} == set(SAID)


def test_it_is_of_that_version(version: str) -> None:
    recording = Recording(str(KEPT / version))
    assert recording.identity["lazyobs"] == version
    assert recording.notes() == []


def test_samples_are_what_they_were(version: str) -> None:
    said, recording = SAID[version], Recording(str(KEPT / version))
    samples = list(recording.samples())
    assert (len(samples), recording.segments) == (said["samples"], said["segments"])
    assert {name: samples[-1].totals[name] for name in said["last"]} == said["last"]
    assert sum(len(sample.processes) for sample in samples) == said["processes"]


def test_events_are_what_they_were(version: str) -> None:
    done = lazyobs("trace", "--replay", str(KEPT / version), "-o", "json")
    assert done.returncode == 0, done.stderr
    assert Counter(json.loads(line)["kind"] for line in done.stdout.splitlines()) == SAID[version]["events"]


@pytest.mark.parametrize("words", [("top", "-o", "csv"), ("census",), ("summary",)], ids=lambda words: words[0])
def test_every_command_shows_it(version: str, words: tuple[str, ...]) -> None:
    done = lazyobs(words[0], "--replay", str(KEPT / version), *words[1:])
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) > 3


def test_it_is_judged_beside_itself(version: str) -> None:
    report = lazyobs("report", str(KEPT / version), "-o", "json")
    assert json.loads(report.stdout)["word"] in ("PASS", "INCONCLUSIVE"), report.stderr
