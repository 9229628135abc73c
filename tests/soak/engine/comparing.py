# SPDX-License-Identifier: MIT
"""Two series compared to the last bit."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from lazyobs.soak.series import Series


def differences(one: Series, other: Series) -> list[str]:
    """Where the two differ; NaN is NaN."""
    return list(_different(asdict(one), asdict(other), "series"))


def _different(one: Any, other: Any, where: str) -> list[str]:
    if type(one) is not type(other):
        return [f"{where}: {type(one).__name__} and {type(other).__name__}"]
    if isinstance(one, dict):
        if list(one) != list(other):
            return [f"{where}: {list(one)} and {list(other)}"]
        return [found for key in one for found in _different(one[key], other[key], f"{where}.{key}")]
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            return [f"{where}: {len(one)} and {len(other)}"]
        return [found for place, pair in enumerate(zip(one, other)) for found in _different(*pair, f"{where}[{place}]")]
    if isinstance(one, np.ndarray):
        same = one.dtype == other.dtype and np.array_equal(one, other, equal_nan=True)
    else:
        same = one == other or (one != one and other != other)
    return [] if same else [f"{where}: {one!r} and {other!r}"]
