# SPDX-License-Identifier: MIT
"""How many objects a VMA (or a process) has, where only changes of the objects are known: bounds, not an estimate.

Both the objects and the measure of the workload are noisy. Regressing the one on the other finds too low a rate,
because noise in the regressor shrinks it; the regression the other way round finds too high a one. The truth lies
between the two (Frisch 1934; Klepper and Leamer, Econometrica 52 (1984) 163). Where they hardly hang together the
upper end is MOST, because nothing else bounds it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MOST = 4.0  # objects for each regular anonymous VMA: chains of a fork server with some generations
_REACH = 3.0  # standard errors on top
_LEAST_SHARE = 0.15  # of the variance in common, below which the data say nothing about the upper end

Values = npt.NDArray[np.float64]


def bounds(yy: Values, ww: Values, yw: Values, worth: float, most: float) -> tuple[Values, Values]:
    """(lowest, highest) rate, from sums of squares and products of residuals: ``yy`` of the objects, ``ww`` of the
    measure, ``yw`` of both; ``worth``: independent points among them."""
    with np.errstate(divide="ignore", invalid="ignore"):
        common = np.clip(yw**2 / (yy * ww), 0.0, 1.0)
        error = _REACH * np.sqrt((1 - common) / np.maximum(common, 1e-9) / max(worth - 2, 1.0))
        direct, inverse = yw / ww, yy / yw
        low = np.where((yw > 0) & np.isfinite(direct), direct * np.maximum(1 - error, 0.0), 0.0)
        high = np.where((yw > 0) & (common > _LEAST_SHARE) & np.isfinite(inverse), inverse * (1 + error), most)
    low, high = np.minimum(low, most), np.minimum(high, most)
    # What is exact in both directions still has the error of rounding.
    return low, np.maximum(high, low)


def bounds_of(objects: Values, measure: Values, times: Values, most: float, worth: float) -> tuple[float, float]:
    """The same for two columns, with their means and straight lines taken off."""
    base = np.column_stack([np.ones(len(times)), times - times.mean()])
    rest = np.column_stack([objects, measure])
    rest = rest - base @ np.linalg.lstsq(base, rest, rcond=None)[0]
    y, w = rest.T
    low, high = bounds(np.array(y @ y), np.array(w @ w), np.array(y @ w), worth, most)
    return float(low), float(high)
