# SPDX-License-Identifier: MIT
"""CPU time and memory of this process."""

from __future__ import annotations

import os
import time

_PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds() -> float:
    """CPU time this process has used, user and system."""
    return round(time.process_time(), 6)


def rss_bytes() -> int | None:
    """Resident memory of this process; None where /proc is not mounted."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except OSError:
        return None
