# SPDX-License-Identifier: MIT
"""The storm's intervals and its table; the boots themselves take too long for a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab import storm


def _counted(waits: int, waited_ns: int = 23_000_000) -> dict[str, Any]:
    return {
        "parts": {
            "seconds": 2.0,
            "copying_forks": 101,
            "lock_waits": waits,
            "lock_waited_ns": waited_ns,
            "promotions": 7,
        }
    }


def test_intervals_are_those_of_student_and_welch() -> None:
    assert storm.interval([1.0, 2.0, 3.0]) == "2 ± 2.5"  # 4.303 * 1 / sqrt(3)
    assert storm.interval([5.0]) == "5"
    # Equal variances and sizes: 4 degrees of freedom, 2.776 * sqrt(2 / 3).
    assert storm.difference([1.0, 2.0, 3.0], [11.0, 12.0, 13.0]) == "+10 (+7.73 to +12.3)"
    assert storm.difference([1.0], [2.0]) == "unknown: one boot"
    assert storm.difference([0.0, 0.0], [4.0, 4.0]) == "+4"


def test_a_row_for_each_metric_of_each_form() -> None:
    boots = {"off": [_counted(101), _counted(303)], "on": [_counted(202), _counted(404)]}
    lines = storm.table(boots)
    assert lines[0] == "| parts | off | on | on - off |" and len(lines) == 2 + len(storm.METRICS) + 1
    name, off, on, change = (cell.strip() for cell in lines[2].strip("|").split("|"))
    assert (name, off.split()[0], on.split()[0], change.split()[0]) == ("waits per fork", "2", "3", "+1")


def test_boots_that_are_there_are_not_made_again(tmp_path: Path) -> None:
    (tmp_path / "off-1.json").write_text("{}")
    storm.boot(tmp_path, tmp_path / "contend", "off", 1, (1, 1, 1))  # it would take minutes, and a kernel
    assert [file.name for file in tmp_path.iterdir()] == ["off-1.json"]
