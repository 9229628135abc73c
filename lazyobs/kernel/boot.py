# SPDX-License-Identifier: MIT
"""When the kernel booted."""

from __future__ import annotations

import time

from lazyobs.unix.clock import boottime_ns


def boot_offset() -> float:
    """Unix time of boot: what to add to the kernel's own stamps (s since boot). Taken once, so that identities hold."""
    return time.time() - boottime_ns() / 1e9


def boot_offset_of_proc() -> float:
    """What to add to the times of /proc/PID/stat: these are shifted by the reader's time namespace, as its clock is."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
