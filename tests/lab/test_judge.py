# SPDX-License-Identifier: MIT
"""What judge runs in a guest: its workload and a check, in one boot of the negative control, which has to fail."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
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
/mnt/share/workload || exit
exec "$0" -m lazyobs.judge.inside boot kselftest stress
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
    return tmp_path


def test_the_workload_is_measured_and_a_blind_kernel_fails(guest: Run, share: Path) -> None:
    options = ["--share", str(share), "--append", checks.APPEND, "--env", "LAZYOBS_LAB_SHARE=/mnt/share"]
    done = guest("lab-blind", "sh", "-c", SCRIPT, sys.executable, options=options, timeout=900)
    ended = Boot(done.returncode, "", False, True, (), done.stdout.decode(), done.stderr.decode(), "")

    measured = measure.values(measure.document(ended) | {"why": ""})
    assert measured is not None, ended.errors
    assert measured.cost.keys() == measure.COSTS.keys() and min(measured.cost.values()) > 0
    assert measured.share["paged_out"] == 0, "no walk sees the lazy VMAs"
    assert set(measured.memory) == {f"{held}.{cache}" for held in measure.HELD for cache in CACHES}
    # 5,003 lazy VMAs have no object each; they and the pages between are VMAs.
    assert max(measured.memory["alone.anon_vma"], measured.memory["alone.anon_vma_chain"]) < 5003
    assert measured.memory["alone.vm_area_struct"] > 10_006 * 100

    found = checks.document(ended, ("boot", "kselftest", "stress"))
    assert [(row["step"], row["outcome"]) for row in found["results"]] == [
        ("boot", inside.PASS),
        ("kselftest", inside.FAIL),
    ]
    why = found["results"][1]["why"]
    assert why.startswith("a walk of the reverse map missed a mapping: anon_rmap anon_rmap.anon_alone.migrate and "), (
        why
    )
    assert "the invariant walk_visits was broken" in why or "the invariant walk_complete was broken" in why, why
    assert json.dumps(found["results"][1]["numbers"]["counts"])


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
