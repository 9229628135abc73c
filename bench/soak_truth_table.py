# SPDX-License-Identifier: MIT
"""The results of soak_truth.py: a table in Markdown, and a summary for machines."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from scipy import stats

from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS
from tests.soak.truth import leaks, orphans

_WORDS = (PASS, FAIL, INCONCLUSIVE)
_PARTS = {
    "counts": "Leaks: live objects beside the workload",
    "orphans": "Leaks: objects that no VMA holds",
    "arms": "Comparisons of boots",
}


class Cell(NamedTuple):
    """A shape of the truth set. ``truth``: in words. A PASS or a FAIL is wrong where it must not be."""

    part: str
    name: str
    truth: str
    must_not_pass: bool
    must_not_fail: bool


Counted = list[tuple[Cell, Counter[str]]]


def upper(wrong: int, runs: int) -> float:
    """95 % bound of a share (Clopper and Pearson 1934)."""
    return float(stats.beta.ppf(0.95, wrong + 1, runs - wrong)) if wrong < runs else 1.0


def _wrong(cell: Cell, words: Counter[str]) -> int:
    return words[FAIL] * cell.must_not_fail + words[PASS] * cell.must_not_pass


def markdown(counted: Iterable[tuple[Cell, Counter[str]]]) -> str:
    """A table for each part; shapes without runs are left out."""
    known = [(cell, words) for cell, words in counted if words]
    lines = [f"{platform.machine()}, {time.strftime('%Y-%m-%d')}. Shares of the runs, in %."]
    for part, title in _PARTS.items():
        lines += ["", f"### {title}", ""]
        lines += ["| shape | truth | runs | PASS | FAIL | open | wrong (at most) |", "|---|---|---|---|---|---|---|"]
        lines += [_row(cell, words) for cell, words in known if cell.part == part]
    return "\n".join(lines) + "\n"


def _row(cell: Cell, words: Counter[str]) -> str:
    runs = sum(words.values())
    shares = " | ".join(f"{100 * words[word] / runs:.3g}" for word in _WORDS)
    wrong = _wrong(cell, words)
    judged = cell.must_not_fail or cell.must_not_pass
    share = f"{100 * wrong / runs:.2g} ({100 * upper(wrong, runs):.2g})" if judged else "-"
    return f"| {cell.name} | {cell.truth} | {runs} | {shares} | {share} |"


def summary(counted: Iterable[tuple[Cell, Counter[str]]]) -> dict[str, object]:
    """The highest shares of false words, of each part; how often leaks that have to be found were; every row."""
    known = [(cell, words) for cell, words in counted if words]
    rows = {
        f"{cell.part}: {cell.name}": {
            **{word: words[word] for word in _WORDS}, "truth": cell.truth, "wrong": _wrong(cell, words),
            "wrong_at_most": upper(_wrong(cell, words), sum(words.values())),
        }
        for cell, words in known
    }  # fmt: skip
    power = {**leaks.POWER, **orphans.POWER}
    return {
        "shapes": len(rows),
        "runs": min((sum(words.values()) for _, words in known), default=0),
        "false_fail": {part: _highest(known, part, FAIL) for part in _PARTS},
        "false_pass": {part: _highest(known, part, PASS) for part in _PARTS},
        "found": {cell.name: words[FAIL] / sum(words.values()) for cell, words in known if cell.name in power},
        "rows": rows,
    }


def _highest(known: Counted, part: str, word: str) -> float | None:
    """The highest share of a false ``word`` over the shapes of that part."""
    return max(
        (
            words[word] / sum(words.values())
            for cell, words in known
            if cell.part == part and (cell.must_not_fail if word == FAIL else cell.must_not_pass)
        ),
        default=None,
    )
