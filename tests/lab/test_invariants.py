# SPDX-License-Identifier: MIT
"""Invariants on the lab's kernels: none is broken unless the kernel is told to break it, and then each is seen."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lazyobs.model import INVARIANTS
from lazyobs.recording.reader import Recording
from tests.harness import ROOT, lazyobs
from tests.lab.guests import GUEST, REASONS, arguments, need

pytestmark = pytest.mark.lab

IN_KERNEL = dict.fromkeys(("promotion_once", "promotion_cause", "walk_complete", "walk_visits"), 0)
LEDGER = {"ledger": None}  # needs a recording
PAGE = 4096


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("invariants")
    for source in (ROOT / "tests/workloads/islands.c", *(GUEST / f"{name}.c" for name in ("walks", "promote", "leak"))):
        subprocess.run(["gcc", "-O2", "-static", "-o", folder / source.stem, source], check=True)
    folder.chmod(0o777)
    return folder


def run(
    programs: Path, kernel: str, *command: str, splats: bool = False, timeout: int = 900
) -> subprocess.CompletedProcess[str]:
    need(kernel)
    options = ["--share", str(programs), *([] if splats else ["--fail-on-splat"])]
    full = ["env", f"PYTHONPATH={ROOT}", f"PATH={ROOT}/.venv/bin:{os.environ['PATH']}", *command]
    answer = subprocess.run(
        arguments(kernel, *full, timeout=timeout, options=options),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    return answer


def live(programs: Path, kernel: str, tier: str, splats: bool = False) -> dict[str, Any]:
    answer = run(programs, kernel, "python", str(GUEST / "invariants.py"), "live", tier, "/mnt/share", splats=splats)
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


@pytest.fixture(scope="module", params=["fentry", "kprobe"])
def faulty(programs: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    return live(programs, "lab-faulty", request.param) | {"tier": request.param}


def test_without_a_fault_nothing_is_broken(faulty: dict[str, Any]) -> None:
    assert {faulty["tiers"][point] for point in ("promotion", "walk_callbacks", "rmap_walk")} == {faulty["tier"]}
    quiet = faulty["nothing broken"]
    assert quiet["violations"] == IN_KERNEL | LEDGER
    assert quiet["events"] == 0
    # There was something to judge.
    assert all(quiet["promotions"][reason] >= 23 for reason in REASONS)
    assert quiet["walks"]["unmap"] >= 101 and quiet["walks"]["migrate"] >= 23


@pytest.mark.parametrize(
    ("invariant", "what"),
    [
        # The first VMA that was promoted before, given another chain.
        ("promotion_once", {"objects": 1}),
        ("promotion_cause", {"objects": 1}),
        # Of parent and three children, the walk came to the first alone.
        ("walk_complete", {"objects": 1, "bytes": None}),
        ("walk_visits", {"objects": 0, "bytes": None}),
    ],
)
def test_a_fault_is_one_violation_of_its_invariant(
    faulty: dict[str, Any], invariant: str, what: dict[str, Any]
) -> None:
    found = faulty[invariant]
    assert found["left"] == "0", "the fault was injected"
    assert found["violations"] == {invariant: 1}
    (event,) = found["events"]
    assert event["kind"] == "violation" and event["detail"] == invariant and event["pid"] == found["pid"]
    assert {key: event[key] for key in what} == what
    if "bytes" not in what:
        assert event["bytes"] >= PAGE


def test_they_add_up_and_are_the_process_s(faulty: dict[str, Any]) -> None:
    assert faulty["violations"] == faulty["exited"] == len(IN_KERNEL)


def test_a_lost_object_is_no_violation_of_another(faulty: dict[str, Any]) -> None:
    assert faulty["ledger"]["left"] == "0" and faulty["ledger"]["violations"] == {}


def test_a_recording_tells_all_of_them(programs: Path) -> None:
    """As its user would: record with a trigger, then look at the trace and at the last sample elsewhere."""
    record = ["lazyobs", "record", "-o", "/tmp/r", "--interval", "0.5", "--barrier", "0.5", "--keep-on", "violation"]
    record += ["--max-size", "10M", "--progress", "none"]
    command = ["python", str(GUEST / "invariants.py"), "break", "/mnt/share"]
    script = f"{' '.join([*record, '--', *command])} >/mnt/share/left && cp -r /tmp/r /mnt/share/recording"
    run(programs, "lab-faulty", "sh", "-c", script)
    assert json.loads((programs / "left").read_text()) == {"left": "0"}
    recording = str(programs / "recording")
    trace = [json.loads(line) for line in replayed("trace", "--replay", recording, "-e", "violation", "-o", "json")]
    assert sorted(line["detail"] for line in trace) == sorted(INVARIANTS)
    (ledger,) = [line for line in trace if line["detail"] == "ledger"]
    assert ledger["objects"] == 1, "one anon_vma was lost"
    *_, last = [json.loads(line) for line in replayed("top", "--replay", recording, "-b", "-o", "json")]
    assert last["totals"]["violations_by_invariant"] == dict.fromkeys(INVARIANTS, 1)
    assert last["totals"]["violations"] == len(INVARIANTS)
    shown = "\n".join(replayed("top", "--replay", recording, "-b"))
    assert "violations 5 (promotion_once 1, promotion_cause 1, walk_complete 1, walk_visits 1, ledger 1)" in shown
    assert "violation" in (programs / "recording/kept.json").read_text()


def recorded_leak(programs: Path, kernel: str, before: str) -> tuple[int, list[dict[str, Any]], Path]:
    """(forks, violations, recording) of a minute of forks behind the shell command ``before``."""
    record = "lazyobs record -o /tmp/r --barrier 1 --progress none -e violation"
    command = f"rm -rf /mnt/share/{kernel}; {before} && {record} -- /mnt/share/leak 60 >/mnt/share/forks && cp -r /tmp/r /mnt/share/{kernel}"  # fmt: skip
    run(programs, kernel, "sh", "-c", command)
    recording = programs / kernel
    trace = [json.loads(line) for line in replayed("trace", "--replay", str(recording), "-o", "json")]
    return int((programs / "forks").read_text()), [line for line in trace if line["kind"] == "violation"], recording


def test_a_leak_at_one_fork_in_a_thousand_is_found_within_a_minute(programs: Path) -> None:
    forks, violations, path = recorded_leak(programs, "lab-faulty", "echo 6 >/proc/sys/vm/anon_vma_lazy_fault")
    assert forks >= 2003, "or there is not enough to find"
    assert violations and {line["detail"] for line in violations} == {"ledger"}
    lost = sum(line["objects"] for line in violations)
    assert 1 <= lost <= forks // 1000 + 1
    recording = Recording(str(path))
    begin = next(recording.samples()).time
    assert violations[0]["time"] - begin < 60
    # What VMAs hold says nothing: the orphans do, to the object.
    rows = [row for row in recording.rows("slabs") if row["barrier"] and row["cache"] == "anon_vma"]
    calm = [row["orphans"] for row in rows if row["orphans_spread"] == 0]
    assert calm[-1] - calm[0] in (forks // 1000 - 1, forks // 1000, forks // 1000 + 1)
    assert all(row["orphans_residual"] == 0 for row in rows if row["orphans_spread"] == 0)


def test_the_same_forks_without_a_fault_lose_nothing(programs: Path) -> None:
    forks, violations, path = recorded_leak(programs, "debian-6.12", "true")
    assert forks >= 2003 and violations == []
    rows = [row for row in Recording(str(path)).rows("slabs") if row["barrier"] and row["cache"] == "anon_vma"]
    calm = [row["orphans"] for row in rows if row["orphans_spread"] == 0]
    # As the ledger has it: a process that has let its mm go and is kept from freeing it, by a busy host say, makes one
    # barrier's objects orphans, not those of three in a row.
    least = [min(calm[at : at + 3]) for at in range(len(calm) - 2)]
    assert len(calm) >= 7 and max(least) - min(calm) <= 2, calm


def replayed(*arguments: str) -> list[str]:
    answer = lazyobs(*arguments)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.splitlines()


def test_walks_that_are_blind_break_an_invariant(programs: Path) -> None:
    """A mistake nobody injected: on this kernel walks do not see lazy VMAs, and memory failure says so, too."""
    quiet = live(programs, "lab-blind", "fentry", splats=True)["nothing broken"]
    assert quiet["violations"]["walk_visits"] > 101
    assert {name: quiet["violations"][name] for name in ("promotion_once", "promotion_cause")} == dict.fromkeys(
        ("promotion_once", "promotion_cause"), 0
    )


def test_a_stock_kernel_s_walks_are_watched_too(programs: Path) -> None:
    script = "lazyobs doctor -o json"
    found = {
        row["invariant"]: row
        for row in json.loads(run(programs, "debian-6.12", "sh", "-c", script).stdout)["invariants"]
    }
    assert [name for name, row in found.items() if row["watched"]] == ["walk_complete", "walk_visits", "ledger"]
    assert "no lazy anon_vmas" in found["promotion_once"]["why_not"]
