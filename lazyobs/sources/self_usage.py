# SPDX-License-Identifier: MIT
"""What the tool itself costs, and names that the kernel knows by number."""

from __future__ import annotations

import functools
import os
import pwd
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


@functools.lru_cache(maxsize=1024)
def user_name(uid: int) -> str:
    """Login name, or the number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def boot_offset() -> float:
    """Unix time of boot: what to add to CLOCK_BOOTTIME seconds. Taken once, so that identities hold."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
