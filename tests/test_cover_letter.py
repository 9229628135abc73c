# SPDX-License-Identifier: MIT
"""What the series' cover letter says of its stress runs is what lab/README.md has of them."""

import re
from pathlib import Path

LAB = Path(__file__).resolve().parent.parent / "lab"


def test_the_letter_has_the_stress_runs_of_the_readme() -> None:
    letter = (LAB / "patches" / "cover-letter.txt").read_text()
    checks = re.findall(
        r"^\| `lab(?:-debug)?` \([^)]*\), (?:7,200|1,800) s.*?\| ([\d,]+) page checks",
        (LAB / "README.md").read_text(),
        re.M,
    )
    assert len(checks) == 2, "the runs of two hours and of half an hour"
    for number in checks:
        assert number in letter
