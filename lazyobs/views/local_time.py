# SPDX-License-Identifier: MIT
"""Times as text, in local time. A recording may hold a time that no calendar has: it is shown as unknown."""

from __future__ import annotations

import time

from lazyobs import text

_DAY = 86400


def local_time(seconds: float, form: str = "%H:%M:%S") -> str:
    """``seconds`` is unix time, ``form`` is strftime's."""
    try:
        return time.strftime(form, time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return text.NULL


def start_time(seconds: float | None) -> str:
    """The time of day; the day of what started more than a day ago, as ps does."""
    if seconds is None:
        return text.NULL
    return local_time(seconds, "%H:%M:%S" if time.time() - seconds < _DAY else "%d %b")
