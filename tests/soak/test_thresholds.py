# SPDX-License-Identifier: MIT
"""A file of thresholds replaces what it names, and nothing it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazyobs.errors import UsageError
from lazyobs.soak.thresholds import load


def test_what_is_named_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("[compare]\nmargin = 0.07\n")
    assert load(tmp_path / "mine").compare == load().compare | {"margin": 0.07}
    assert load(tmp_path / "mine").leak == load().leak


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[compare]\nmargine = 1", "knows no compare.margine"),
        ("[tea]\nmilk = 1", r"knows no section \[tea\]; there are gate, leak, compare"),
        ("leak = 5", r"leak is 5, not a section \[leak\] with keys"),
        ("[gate]\nsamples = 1.5", "gate.samples is 1.5, not a whole number of 0 or more"),
        ("[compare]\nresamples = 100.0", "compare.resamples is 100.0, not a whole number"),
        ("[gate]\nsamples = -" + "9" * 400, "gate.samples is -9+, not a whole number"),
        ("[gate]\nminutes = inf", "gate.minutes is inf, not a number"),
        ("[leak]\nalpha = 1", "leak.alpha is 1, not between 0 and 1"),
        ("[gate]\nminutes = '5'", "gate.minutes is '5', not a number"),
        ("[gate]\nminutes = true", "gate.minutes is True, not a number"),
        ("[gate]\nminutes = -1", "gate.minutes is -1, not a number"),
        ("[gate]\nminutes = nan", "gate.minutes is nan, not a number"),
        ("[gate", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "mine").write_text(text)
    with pytest.raises(UsageError, match=words):
        load(tmp_path / "mine")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path / "none")
