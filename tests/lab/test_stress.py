# SPDX-License-Identifier: MIT
"""A short run of the stress program; its long runs are recorded in lab/README.md."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.harness import ROOT
from tests.lab.guests import need

pytestmark = pytest.mark.lab


def stress(kernel: str, seconds: int, *options: str) -> dict[str, int]:
    """Runs the program; what each counter gained, and its own sums."""
    need(kernel)
    result = subprocess.run(
        [sys.executable, "-m", "lab.stress", "--kernel", kernel, "--seconds", str(seconds), "--", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    before = dict(re.findall(r"^before (\w+) (\d+)$", result.stdout, re.M))
    after = dict(re.findall(r"^after (\w+) (\d+)$", result.stdout, re.M))
    found = {name: int(value) - int(before[name]) for name, value in after.items()}
    checked, wrong = re.findall(r"^pages checked (\d+) wrong (\d+)$", result.stdout, re.M)[0]
    return {**found, "checked": int(checked), "wrong": int(wrong)}


def test_everything_at_once_leaves_every_page_right() -> None:
    found = stress("lab", 25, "-s", "211")
    assert found["wrong"] == 0 < found["checked"]
    for reason in ("fork", "split", "merge", "mremap"):
        assert found[f"anon_vma_lazy_promote_{reason}"] > 0, reason
    for walk in ("pgmigrate_success", "pswpout", "thp_split_page", "cow_ksm"):
        assert found[walk] > 0, walk
    assert found["anon_vma_lazy_promote_failed"] == 0


@pytest.mark.parametrize("kernel, blind", [("lab", False), ("lab-blind", True)])
def test_a_walk_that_misses_lazy_vmas_would_be_noticed(kernel: str, blind: bool) -> None:
    found = stress(kernel, 8, "-s", "23", "-p", "1", "-n", "1", "-1", "migrate,renew")
    failed = found["pgmigrate_fail"] / (found["pgmigrate_fail"] + found["pgmigrate_success"])
    # 0.02 % of the attempts fail where walks see everything, 95 % where they do not see lazy VMAs.
    assert (failed > 0.01) == blind, found
