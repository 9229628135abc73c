# SPDX-License-Identifier: MIT
"""The battery where everything is known: promotions by reason and walks by walker, laziness on and off.

And where something is wrong: on the lab's kernel whose walks are blind to lazy VMAs it must fail, and on the
one that breaks an invariant when it is told to.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from operator import eq
from typing import Any

import pytest

from lab import build, kernels
from lab.errors import LabError
from lazyobs.model import REASONS
from lazyobs.selftest import scenario
from tests.harness import ROOT, skip
from tests.lab import guests

pytestmark = pytest.mark.lab
# What races or waits takes long in an emulated machine; it is for a real one.
QUICK = [name for name in scenario.load() if not name.startswith(("exit_", "threads_", "compaction"))]
# Each of these promotes, or would.
OF_LAZINESS = [
    name for name in QUICK if name.startswith(("control", "fork_a", "munmap", "mprotect", "mremap", "merge", "swap_o"))
]

Documents = dict[str, dict[str, Any]]


def _battery(kernel: str, lazy: int, names: list[str], seconds: int = 900, fault: int = 0) -> Documents:
    """``fault``: what the kernel does wrong at the next opportunity (lab/patches)."""
    row = kernels.kernel(kernel)
    try:
        build.image(row)
    except LabError as error:
        skip("lab" if row.ci else "lab-all", str(error))
    script = 'echo "$1" >/proc/sys/vm/anon_vma_lazy && shift && exec "$@"'
    if fault:
        script = f"echo {fault} >/proc/sys/vm/anon_vma_lazy_fault && " + script
    battery = [sys.executable, "-m", "lazyobs", "selftest", "-o", "json", "--timeout", "120", "--only", ",".join(names)]
    answer = subprocess.run(
        [
            ROOT / "lab/run",
            "--kernel",
            kernel,
            "--timeout",
            str(seconds),
            "--again",
            "2",
            "--",
            "sh",
            "-c",
            script,
            "sh",
            str(lazy),
            *battery,
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert answer.returncode in (0, 1), answer.stderr[-2000:]
    documents = [json.loads(line) for line in answer.stdout.splitlines()]
    found = {document["scenario"]: document for document in documents if "scenario" in document}
    assert sorted(found) == sorted(names)
    return found


def _why(document: dict[str, Any]) -> str:
    failed = [check for check in document["checks"] if not check["ok"]]
    return f"{document['scenario']}: {document['reason']} {failed} {document['notes']} {document['kernel_log']}"


def _all_pass_and_are_known(found: Documents) -> None:
    failed = [_why(document) for document in found.values() if document["outcome"] == "fail"]
    assert not failed, "\n".join(failed)
    unknown = {check["what"] for document in found.values() for check in document["checks"] if check["found"] is None}
    assert unknown == set()


def _sum(found: Documents, what: Callable[[str], bool]) -> int:
    return sum(check["found"] for document in found.values() for check in document["checks"] if what(check["what"]))


def test_laziness_on() -> None:
    found = _battery("lab", 1, QUICK)
    _all_pass_and_are_known(found)
    skipped = {name: document["reason"] for name, document in found.items() if document["outcome"] == "skip"}
    assert skipped == {}
    assert _sum(found, lambda what: what == "lazy_prepares") > 809
    for reason in guests.REASONS:
        assert reason in REASONS
        assert _sum(found, partial(eq, f"promotions.{reason}")) >= 23, reason
    for walker in ("unmap", "migrate", "remove_migration"):
        assert _sum(found, partial(eq, f"rmap_walks.{walker}")) >= 101, walker


def test_laziness_off() -> None:
    found = _battery("lab", 0, OF_LAZINESS)
    _all_pass_and_are_known(found)
    assert _sum(found, lambda what: what in ("lazy_prepares", "promotions")) == 0
    assert _sum(found, lambda what: what == "prepares") > 211


def test_walks_that_are_blind_are_noticed() -> None:
    found = _battery("lab-blind", 1, ["control", "swap_out_and_in", "reclaim_after_split", "move_pages"])
    assert found["control"]["outcome"] == "pass"
    wrong = {check["what"]: check for check in found["swap_out_and_in"]["checks"] if not check["ok"]}
    assert found["swap_out_and_in"]["outcome"] == "fail"
    assert wrong["swapped"]["found"] < wrong["swapped"]["expected"] == 69


def test_a_broken_invariant_fails_the_scenario_it_came_in_by_name() -> None:
    blind_migration = 4
    found = _battery("lab-faulty", 1, ["control", "fork_and_write", "move_pages"], fault=blind_migration)
    assert {name: found[name]["outcome"] for name in ("control", "fork_and_write")} == dict.fromkeys(
        ("control", "fork_and_write"), "pass"
    )
    assert found["move_pages"]["outcome"] == "fail"
    assert "the kernel broke the invariant walk_visits 1 time by" in found["move_pages"]["reason"]
    assert any("fault 4 injected" in line for line in found["move_pages"]["kernel_log"])
