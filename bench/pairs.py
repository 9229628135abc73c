# SPDX-License-Identifier: MIT
"""Two things measured in turn, A B A B, so that a machine whose speed drifts is fair to both."""

from __future__ import annotations

import statistics
from collections.abc import Callable


def pairs(one: Callable[[], float], other: Callable[[], float], runs: int) -> dict[str, float]:
    """Medians of both and of the ratio one/other pair by pair, with the ratio's quartiles; a first pair is dropped."""
    one(), other()
    measured = [(one(), other()) for _ in range(runs)]
    ratios = sorted(a / b for a, b in measured)
    quartiles = statistics.quantiles(ratios, n=4)
    return {
        "one": statistics.median(a for a, _ in measured),
        "other": statistics.median(b for _, b in measured),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_quartiles": [round(quartiles[0], 3), round(quartiles[2], 3)],
        "pairs": runs,
    }
