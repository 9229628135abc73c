# SPDX-License-Identifier: MIT
"""What one boot compiled serves the next, which has put the kernel elsewhere, and counts exactly there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.harness import ROOT
from tests.lab.guests import GUEST, arguments, need

pytestmark = pytest.mark.lab

KERNEL = "debian-6.12"  # has KASLR
ISLANDS = 211  # of guest/observe.py


def start(share: Path) -> dict[str, Any]:
    """One boot and one start in it."""
    command = [
        "env",
        f"PYTHONPATH={ROOT}",
        str(ROOT / ".venv/bin/python"),
        str(GUEST / "observe.py"),
        "kept:tracepoint",
    ]
    answer = subprocess.run(
        arguments(KERNEL, *command, "/mnt/share", timeout=800, options=["--share", str(share), "--fail-on-splat"]),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr[-3000:]
    found: dict[str, Any] = json.loads(answer.stdout)["kept:tracepoint"]
    return found


def test_the_second_boot_compiles_nothing(tmp_path):
    need(KERNEL)
    source = ROOT / "tests/workloads/islands.c"
    subprocess.run(["gcc", "-O2", "-static", "-o", tmp_path / "islands", source], check=True)
    (tmp_path / "kept").mkdir()
    boots = [start(tmp_path)]
    while len(boots) == 1 or (boots[-1]["anchor"] == boots[0]["anchor"] and len(boots) < 4):
        boots.append(start(tmp_path))
    assert boots[0]["anchor"] != boots[-1]["anchor"] != 0
    assert [boot["compiled"] for boot in boots[1:]] == [False] * (len(boots) - 1)
    for boot in boots:
        assert boot["ignored"] == []
        assert boot["touch"]["counts"]["prepares"] == boot["touch"]["counts"]["anon_vma_allocs"] == ISLANDS
        assert boot["fork"]["counts"]["fork_chains"] == boot["touch"]["census"]["vmas_anon"]
        assert boot["unmap"]["counts"]["anon_vma_frees"] == ISLANDS
