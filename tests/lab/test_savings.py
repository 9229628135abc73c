# SPDX-License-Identifier: MIT
"""What laziness would save, predicted with the switch off, against what it saves when the switch is on."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.harness import ROOT
from tests.lab.guests import GUEST, arguments, need

pytestmark = pytest.mark.lab

TEN = (
    "python",
    "relro",
    "forked_and_reaped",
    "fork_server",
    "threads",
    "arena",
    "brk",
    "stack",
    "shared",
    "exec_chain",
)
KINDS = (*TEN, "cut")


@pytest.fixture(scope="module")
def savings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    need("lab-nomerge")
    folder = tmp_path_factory.mktemp("kinds")
    command = ["gcc", "-O2", "-static", "-pthread", "-o", str(folder / "kinds"), str(GUEST / "kinds.c")]
    subprocess.run(command, check=True)
    folder.chmod(0o755)
    script = ["env", f"PYTHONPATH={ROOT}", str(ROOT / ".venv/bin/python"), str(GUEST / "savings.py")]
    answer = subprocess.run(
        arguments(
            "lab-nomerge",
            *script,
            ",".join(KINDS),
            "/mnt/share/kinds",
            timeout=1200,
            options=["--share", str(folder), "--memory", "3072", "--fail-on-splat"],
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    Path(folder / "savings.json").write_text(answer.stdout)
    found: dict[str, dict[str, Any]] = json.loads(answer.stdout)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bounds", ["watched", "found"])
def test_what_is_saved_lies_within_the_bounds(savings: dict[str, dict[str, Any]], kind: str, bounds: str) -> None:
    """Of processes that lazyobs has watched from their birth, and of those that it found."""
    low, value, high = savings[kind][bounds]
    assert low <= value <= high
    # Slabs are counted while other processes run: a few objects come and go.
    slack = 0.01 * savings[kind]["truth"] + 500
    assert low - slack <= savings[kind]["truth"] <= high + slack
    assert savings[kind]["truth"] > 10_000


def test_the_bounds_are_narrow_for_processes_watched_from_their_birth(savings: dict[str, dict[str, Any]]) -> None:
    def far(kind: str) -> float:
        low, _, high = savings[kind]["watched"]
        truth = savings[kind]["truth"]
        return max(abs(low - truth), abs(high - truth)) / truth

    assert sum(far(kind) <= 0.10 for kind in TEN) >= 8, {kind: round(far(kind), 3) for kind in TEN}
