# SPDX-License-Identifier: MIT
"""Measurements in alternation, A B A B, so that drift in the machine's speed affects all of them equally."""

from __future__ import annotations

import statistics
from collections.abc import Callable


def pairs(one: Callable[[], float], other: Callable[[], float], runs: int) -> dict[str, object]:
    """Medians of both and of the ratio one/other per pair, with the ratio's quartiles; the first pair is dropped."""
    return beside(other, {"one": one}, runs)["one"]


def beside(other: Callable[[], float], ones: dict[str, Callable[[], float]], runs: int) -> dict[str, dict[str, object]]:
    """The same for each of ``ones``, all beside the same ``other``; every second round runs in reverse order."""
    measured: dict[str, list[float]] = {name: [] for name in (*ones, "")}
    calls = {**ones, "": other}
    for round_ in range(runs + 1):
        for name in list(calls)[:: 1 if round_ % 2 else -1]:
            value = calls[name]()
            if round_:
                measured[name].append(value)
    return {name: _compared(measured[name], measured[""]) for name in ones}


def _compared(one: list[float], other: list[float]) -> dict[str, object]:
    ratios = sorted(a / b for a, b in zip(one, other))
    quartiles = statistics.quantiles(ratios, n=4)
    return {
        "one": statistics.median(one),
        "other": statistics.median(other),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_quartiles": [round(quartiles[0], 3), round(quartiles[2], 3)],
        "pairs": len(ratios),
    }
