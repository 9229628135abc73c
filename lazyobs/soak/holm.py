# SPDX-License-Identifier: MIT
"""p-values of several tests, corrected so that their family-wise error holds (Holm, Scand. J. Statist. 6 (1979) 65)."""

from __future__ import annotations


def holm(values: list[float]) -> list[float]:
    """Adjusted p-values, in the order given."""
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted = [0.0] * len(values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, values[index] * (len(values) - rank)))
        adjusted[index] = highest
    return adjusted
