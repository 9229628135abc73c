# SPDX-License-Identifier: MIT
"""When the kernel booted."""

from __future__ import annotations

import time


def boot_offset() -> float:
    """Unix time of boot: what to add to CLOCK_BOOTTIME seconds. Taken once, so that identities hold."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
