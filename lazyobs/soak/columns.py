# SPDX-License-Identifier: MIT
"""Small questions to a column of a Series."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lazyobs.soak.series import Column, Series, Table
from lazyobs.soak.thresholds import Thresholds


def settled(times: Column, thresholds: Thresholds) -> npt.NDArray[np.bool_]:
    """Which of the times are after the warm-up."""
    if not len(times):
        return np.zeros(0, dtype=bool)
    rules = thresholds.leak
    warmup = min(rules["warmup_seconds"], rules["warmup_share"] * float(times[-1] - times[0]))
    result: npt.NDArray[np.bool_] = times >= times[0] + warmup
    return result


def at(times: Column, values: Column, when: Column) -> Column:
    """``values`` at other times, linear between known ones; NaN where none is known."""
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(when), np.nan)
    result: Column = np.interp(when, times[known], values[known])
    return result


def known(table: Table, name: str) -> Column:
    """The finite values of a column; empty where there is none."""
    values = table.get(name)
    return values[np.isfinite(values)] if values is not None else np.zeros(0)


def growth(table: Table, name: str) -> float | None:
    """Last known value less the first of a cumulative column; None where unknown."""
    values = known(table, name)
    return float(values[-1] - values[0]) if len(values) else None


def seconds(series: Series) -> float:
    """From the first sample to the last."""
    times = series.samples["time"]
    return float(times[-1] - times[0]) if len(times) else 0.0
