# SPDX-License-Identifier: MIT
"""Names of users."""

from __future__ import annotations

import functools
import pwd


@functools.lru_cache(maxsize=1024)
def user_name(uid: int) -> str:
    """Login name of a user id, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
