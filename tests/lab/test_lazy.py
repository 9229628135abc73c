# SPDX-License-Identifier: MIT
"""The lab kernel's lazy anon_vma: the switch, the memory it saves, every promotion and its count."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.guests import GUEST, REASONS, Run, arguments, need

pytestmark = pytest.mark.lab

N = 23  # of promote.c
COUNTER = "anon_vma_lazy_promote_"


@pytest.fixture(scope="module")
def promoted(compiled: Callable[[str], Path]) -> dict[str, Any]:
    """What promote.c printed with the switch on ("1") and off ("0"), from one boot."""
    need("lab")
    program = compiled("promote.c")
    script = """
cat /proc/sys/vm/anon_vma_lazy
$0; echo 0 > /proc/sys/vm/anon_vma_lazy && $0
echo 2 > /proc/sys/vm/anon_vma_lazy || cat /proc/sys/vm/anon_vma_lazy
"""
    result = subprocess.run(
        arguments(
            "lab",
            "sh",
            "-c",
            script,
            f"/mnt/share/{program.name}",
            options=["--share", str(program.parent), "--fail-on-splat"],
        ),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    default, on, off, refused = result.stdout.splitlines()
    return {"default": default, "1": json.loads(on), "0": json.loads(off), "refused": refused}


def test_the_switch_is_on_by_default_and_takes_only_0_and_1(promoted: dict[str, Any]) -> None:
    assert (promoted["default"], promoted["refused"]) == ("1", "0")


@pytest.mark.parametrize("reason", [*REASONS, "ksm"])
def test_every_reason_is_counted_once_per_vma(promoted: dict[str, Any], reason: str) -> None:
    """And KSM is none: its pages need no chain."""
    steps = promoted["1"]
    assert steps["prepare" if reason == "fork" else f"{reason}-prepare"] == {"anon_vma_lazy_prepare": N}
    counted = {name: value for name, value in steps[reason].items() if name.startswith("anon_vma_lazy_")}
    assert counted == ({COUNTER + reason: N} if reason in REASONS else {})


def test_a_promoted_vma_is_not_promoted_again(promoted: dict[str, Any]) -> None:
    assert promoted["1"]["fork-again"] == {}


@pytest.mark.parametrize("switch", ["0", "1"])
def test_walks_find_lazy_vmas_as_they_find_regular_ones(promoted: dict[str, Any], switch: str) -> None:
    steps = promoted[switch]
    assert steps["moved"] == N  # move_pages replaces every mapping of a page or gives up
    assert steps["migrate"] == {"pgmigrate_success": N}
    assert steps["poison_code"] in (4, 5)  # BUS_MCEERR_AR, _AO: memory failure found the process


def test_nothing_is_lazy_with_the_switch_off(promoted: dict[str, Any]) -> None:
    counted = [
        name
        for step in promoted["0"].values()
        if isinstance(step, dict)
        for name in step
        if name.startswith("anon_vma_lazy_")
    ]
    assert counted == []


def test_memory_saved(guest: Run, tmp_path: Path) -> None:
    shutil.copy(GUEST / "slab_objects.py", tmp_path)
    result = guest(
        "lab-nomerge",
        "/usr/bin/python3",
        "/mnt/share/slab_objects.py",
        timeout=800,
        options=["--share", str(tmp_path), "--memory", "3072", "--fail-on-splat"],
    )
    assert result.returncode == 0, result.stderr.decode()
    found = json.loads(result.stdout)
    islands, pythons = found["islands"], found["pythons"]
    for cache in ("anon_vma", "anon_vma_chain"):
        assert islands["0"][cache] >= 3000
        assert islands["1"][cache] <= 0.01 * islands["0"][cache]
        assert pythons["1"][cache] <= 0.7 * pythons["0"][cache]
    # the same VMAs: laziness must not cost a merge
    assert islands["1"]["vm_area_struct"] == islands["0"]["vm_area_struct"]
    assert pythons["1"]["vm_area_struct"] == pythons["0"]["vm_area_struct"]
