# SPDX-License-Identifier: MIT
"""Error rates of report and compare on simulated recordings with a known answer (tests/soak/simulate.py).

1,001 recordings without a leak under seven kinds of noise, leaks of three sizes, and comparisons of five boots with
five, without a difference and with steps of three sizes, in all durations or in one.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator

from lazyobs.soak.compare import compare
from lazyobs.soak.report import report
from lazyobs.soak.thresholds import load
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS
from lazyobs.views.tables import table
from tests.soak.simulate import NOISES, series

_STEADY, _LEAKING, _COMPARED = 143, 47, 101  # runs of a row
_BOOTS = 5
_WORDS = (PASS, FAIL, INCONCLUSIVE)


def _reports(runs: int, leak: float, minutes: float, seed: int) -> Iterator[tuple[str, Counter[str]]]:
    rules = load()
    for kind, noise in NOISES.items():
        words = Counter(report([series(seed + run, minutes, noise, leak)], rules).word for run in range(runs))
        yield kind, words


def _compared(step: float, boot_sd: float, only: str = "", runs: int = _COMPARED) -> Counter[str]:
    rules, words = load(), Counter[str]()
    for run in range(runs):
        seed = 2 * _BOOTS * run
        base = [series(seed + boot, 10, barrier=30, boot_sd=boot_sd) for boot in range(_BOOTS)]
        new = [series(seed + _BOOTS + boot, 10, barrier=30, boot_sd=boot_sd, slower=1 + step, only=only) for boot in range(_BOOTS)]  # fmt: skip
        words[compare(base, new, rules).word] += 1
    return words


def _rows() -> Iterator[tuple[str, Counter[str]]]:
    for kind, words in _reports(_STEADY, 0, 30, 1_000):
        yield f"no leak, 30 min, {kind}", words
    for kind, words in _reports(_LEAKING, 0, 480, 2_000):
        yield f"no leak, 8 h, {kind}", words
    for leak in (0.1, 1.0, 10.0):
        for kind, words in _reports(_LEAKING, leak, 30, 3_000):
            yield f"leak of {leak:g}/s, 30 min, {kind}", words
    for kind, words in _reports(_LEAKING // 2, 0.1, 480, 4_000):
        yield f"leak of 0.1/s, 8 h, {kind}", words
    for boot_sd in (0.01, 0.02):
        yield f"A/A, boots differ by {boot_sd:.0%}", _compared(0, boot_sd)
        for step in (0.02, 0.05, 0.2):
            yield f"{step:.0%} slower, boots differ by {boot_sd:.0%}", _compared(step, boot_sd)
    yield "5% slower in forks only, boots differ by 1%", _compared(0.05, 0.01, "fork_seconds")


def run() -> dict[str, object]:
    rows = dict(_rows())
    shown = [[name, sum(words.values()), *(f"{words[word] / sum(words.values()):.1%}" for word in _WORDS)] for name, words in rows.items()]  # fmt: skip
    print(table(shown, ["TRUTH", "RUNS", *_WORDS], left=1), file=sys.stderr)
    steady = sum((words for name, words in rows.items() if name.startswith("no leak, 30 min")), Counter[str]())
    return {
        "false_fail": steady[FAIL] / sum(steady.values()),
        "leak_of_1_found": min(_found(words) for name, words in rows.items() if name.startswith("leak of 1/s")),
        "step_of_5_percent_found": _found(rows["5% slower, boots differ by 1%"]),
        "no_difference_in_a_a": rows["A/A, boots differ by 1%"][PASS] / _COMPARED,
        "rows": {name: {word: words[word] for word in _WORDS} for name, words in rows.items()},
    }


def _found(words: Counter[str]) -> float:
    return words[FAIL] / sum(words.values())
