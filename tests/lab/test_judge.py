# SPDX-License-Identifier: MIT
"""What judge runs in a guest: its workload and a check, in one boot of the negative control, which has to fail."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab import kselftest, stress, workload
from lab.cache import root
from lazyobs.judge import checks, inside, measure
from lazyobs.judge.boots import Boot
from lazyobs.kernel.slab import CACHES
from tests.harness import need_programs, skip
from tests.lab.guests import Run

pytestmark = pytest.mark.lab
SCRIPT = """
echo 256M > /sys/block/zram0/disksize; mkswap /dev/zram0 > /dev/null; swapon /dev/zram0
/mnt/share/workload && /mnt/share/workload time /mnt/share/given && "$0" -m lazyobs.judge.waits || exit
LAZYOBS_JUDGE_SCRIPT=given exec "$0" -m lazyobs.judge.inside boot script kselftest stress \\
    --watch vma_prepare_anon_vma_lazy,of_no_kernel
"""
GIVEN = """#!/bin/sh
echo "cost turns 211"
echo "share done 3 4"
(setsid sleep 1000 &)
"""


@pytest.fixture
def share(tmp_path: Path) -> Path:
    need_programs("gcc", feature="lab")
    if not any((root() / "tree").glob("linux-source-*")):
        skip("lab-source", "no kernel source is unpacked; run: make lab")
    for name, program in (
        ("anon_rmap", kselftest.program()),
        ("stress", stress.program()),
        ("workload", workload.program()),
    ):
        (tmp_path / name).write_bytes(program.read_bytes())
        (tmp_path / name).chmod(0o755)
    (tmp_path / "given").write_text(GIVEN)
    (tmp_path / "given").chmod(0o755)
    return tmp_path


def test_the_workload_is_measured_and_a_blind_kernel_fails(guest: Run, share: Path) -> None:
    options = ["--share", str(share), "--append", checks.APPEND, "--env", "LAZYOBS_LAB_SHARE=/mnt/share"]
    done = guest("lab-blind", "sh", "-c", SCRIPT, sys.executable, options=options, timeout=900)
    ended = Boot(done.returncode, "", False, True, (), done.stdout.decode(), done.stderr.decode(), "")

    # The status is that of the checks, which come last here and fail.
    worked = replace(ended, status=0)
    document = measure.document(worked, with_script=True)
    assert not document["why"]
    measured = measure.values(document)
    assert measured is not None, ended.errors
    # It was killed with what it left behind, or the boot would still wait.
    assert measured.script.keys() == {measure.WHOLE, "turns"} and measured.script_share == {"done": 0.75}
    assert document["script"]["status"] == 0 and measured.script["turns"] == 211
    # A fork promotes: pages of three processes are found.
    assert measured.share["migrated_shared"] > 0.9 and 0 < measured.share[measure.RECLAIMED] <= 1
    waits = measure.waits_document(worked)["waits"]
    assert waits["forks"] == 1006 and waits["waits"] >= 0 and (waits["waited_ns"] > 0) == (waits["waits"] > 0), waits
    assert measured.cost.keys() == measure.COSTS.keys() and min(measured.cost.values()) > 0
    assert measured.share["paged_out"] == 0, "no walk sees the lazy VMAs"
    assert set(measured.memory) == {f"{held}.{cache}" for held in measure.HELD for cache in CACHES}
    # 5,003 lazy VMAs have no object each; they and the pages between are VMAs.
    assert max(measured.memory["alone.anon_vma"], measured.memory["alone.anon_vma_chain"]) < 5003
    assert measured.memory["alone.vm_area_struct"] > 10_006 * 100

    found = checks.document(ended, ("boot", "script", "kselftest", "stress"))
    assert [(row["step"], row["outcome"]) for row in found["results"]] == [
        ("boot", inside.PASS),
        ("script", inside.PASS),
        ("kselftest", inside.FAIL),
    ]
    why = found["results"][2]["why"]
    assert why.startswith("a walk of the reverse map missed a mapping: anon_rmap anon_rmap.anon_alone.migrate and "), (
        why
    )
    assert "the invariant walk_visits was broken" in why or "the invariant walk_complete was broken" in why, why
    assert json.dumps(found["results"][2]["numbers"]["counts"])
    # A function that runs whenever a page is touched, and one that cannot be watched.
    assert found["results"][2]["hits"].keys() == {"vma_prepare_anon_vma_lazy"}
    assert found["results"][2]["hits"]["vma_prepare_anon_vma_lazy"] > 23


def test_allocations_fail_and_no_page_is_wrong(guest: Run, share: Path) -> None:
    options = ["--share", str(share), "--env", "LAZYOBS_LAB_SHARE=/mnt/share"]
    done = guest("lab-debug", sys.executable, "-m", "lazyobs.judge.inside", "boot", "failslab", options=options, timeout=1800)  # fmt: skip
    ended = Boot(done.returncode, "", False, True, (), done.stdout.decode(), done.stderr.decode(), "")
    (_boot, row) = checks.document(ended, ("boot", "failslab"))["results"]
    assert (row["step"], row["outcome"]) == ("failslab", inside.PASS), row["why"]
    numbers = row["numbers"]
    assert (numbers["processes"], numbers["wrong"], numbers["died"]) == (211, 0, 0)
    assert numbers["failed_allocations"] > 211 and numbers["refused"] > 23


def test_the_results_of_a_guest_are_read(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that cannot be run is a failure, and the last one."""
    steps: dict[str, Callable[..., None]] = dict.fromkeys(inside.STEPS, lambda _inside, _result: None)
    monkeypatch.setattr(inside, "_STEPS", {**steps, "moves": _fails})
    monkeypatch.setattr(inside, "_set_up", lambda: None)
    monkeypatch.setattr("sys.argv", ["inside", "boot", "moves", "stress"])
    assert inside.main() == 1
    printed = capsys.readouterr().out
    ended = Boot(1, "", False, True, (), printed, "", "")
    rows = checks.document(ended, inside.STEPS)["results"]
    assert [(row["step"], row["outcome"], row["why"]) for row in rows] == [
        ("boot", inside.PASS, ""),
        ("moves", inside.FAIL, "moves could not be run: no such node"),
    ]


def _fails(_inside: object, _result: object) -> None:
    raise ValueError("no such node")
