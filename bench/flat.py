# SPDX-License-Identifier: MIT
"""Whether what a process holds grows: the slope that ``report`` judges kernels by (lazyobs/soak/trend.py), held to a
limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lazyobs.soak.trend import LEAST, trend

GROWS, FLAT, OPEN = "grows", "flat", "open"
_ALPHA = 0.01  # of a false "grows", and of a false "flat"
_WARM_UP = 0.25  # of the time: caches fill, and Python's heap finds its size


@dataclass(frozen=True)
class Judged:
    """``word``: GROWS where the rise is above the limit, FLAT where a rise of that much is excluded, else OPEN.
    ``rise``, ``most``: over the time judged, as estimated and at most."""

    word: str
    first: float
    last: float
    rise: float
    most: float
    points: int


def judge(times: npt.ArrayLike, values: npt.ArrayLike, limit: float) -> Judged:
    """``limit``: the rise, over the time after the warm-up, that is too much. ValueError for too few points."""
    time, value = np.array(times, "f8"), np.array(values, "f8")
    late = time >= time[0] + _WARM_UP * (time[-1] - time[0])
    time, value = time[late], value[late]
    found = trend(time, value)
    if found is None:
        raise ValueError(f"{len(value)} points are too few for a slope: {LEAST} are needed")
    seconds = float(time[-1] - time[0])
    most = found.bounds(2 * _ALPHA)[1] * seconds
    grows = found.p_above(limit / seconds) < _ALPHA
    word = GROWS if grows else FLAT if most < limit else OPEN
    return Judged(word, float(value[0]), float(value[-1]), found.slope * seconds, most, len(value))
