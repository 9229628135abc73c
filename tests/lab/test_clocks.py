# SPDX-License-Identifier: MIT
"""A clock that is set forward and back, and a machine that is suspended, under record, top and the exporter."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lazyobs.recording.reader import Recording
from tests.harness import ROOT, lazyobs
from tests.lab.guest.clocks import BACK, FORWARD
from tests.lab.guests import GUEST, arguments, need

pytestmark = pytest.mark.lab
KERNEL, USERLAND = "debian-7.3", "trixie"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What guest/clocks.py left. The guest ends without an answer, which is told apart from one that died before by
    the files."""
    need(KERNEL, USERLAND)
    place = tmp_path_factory.mktemp("clocks")
    place.chmod(0o755)
    script = str(GUEST / "clocks.py")
    options = ["--root", USERLAND, "--disks", "--share", str(place)]
    answer = subprocess.run(
        arguments(KERNEL, "python3", script, "/mnt/share", timeout=600, options=options, again=0),
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    trouble = place / "trouble"
    assert (place / "found.json").exists(), trouble.read_text() if trouble.exists() else answer.stderr[-3000:]
    return place


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "told.json").read_text())
    return found


def metric(page: str, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", page, re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_record_counts_on_and_marks_each_step(folder: Path, told: dict[str, Any]) -> None:
    recording = Recording(str(folder / "recording"))
    samples = list(recording.samples())
    assert (samples[-1].command or {})["forks"] == told["forks"]
    marks = [(row["kind"], row["value"]) for row in recording.rows("marks")]
    jumps = [round(value) for kind, value in marks if kind == "clock_jump" and value is not None and abs(value) > 1000]
    assert jumps == [FORWARD, BACK]
    slept = sum(value for kind, value in marks if kind == "suspend" and value is not None)
    assert told["suspended"] > 1 and slept == pytest.approx(told["suspended"], abs=0.01)


def test_report_says_that_its_clock_was_set(folder: Path) -> None:
    answer = lazyobs("report", "--json", str(folder / "recording"))
    found = json.loads(answer.stdout)
    validity = {one["name"]: one["text"] for one in found["findings"] if one["part"] == "validity"}
    assert "2 times set" in validity["clock"]
    samples, seconds = re.search(r"(\d+) samples in (\d+) s", validity["enough data"]).groups()  # type: ignore[union-attr]
    assert 0 < int(seconds) < 10 * int(samples)  # neither an hour more nor two less


def test_top_has_counted_the_forks_of_the_load(folder: Path, told: dict[str, Any]) -> None:
    rows = [json.loads(line) for line in (folder / "top.jsonl").read_text().splitlines()]
    ours = [row for sample in rows for row in sample["processes"] if row["pid"] == told["pid"]]
    assert ours[-1]["forks"] == told["forks"]
    assert all(0 <= sample["elapsed"] < 100 for sample in rows)  # not an hour, whatever the clock was set to


def test_the_exporter_goes_on(folder: Path, told: dict[str, Any]) -> None:
    found = json.loads((folder / "found.json").read_text())
    gained = metric(found["after"], "lazyobs_forks_total") - metric(found["before"], "lazyobs_forks_total")
    assert gained >= told["forks"]
    assert found["record"][0] == 0 and found["ended"] == {"top": 0, "export": 0}
