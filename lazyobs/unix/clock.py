# SPDX-License-Identifier: MIT
"""CLOCK_BOOTTIME as the kernel stamps events and processes with it, whatever time namespace this process is in."""

from __future__ import annotations

import time

from lazyobs.unix import namespaces

# A process stays in its time namespace.
_SHIFT = namespaces.boottime_shift()


def boottime_ns() -> int:
    """CLOCK_BOOTTIME of the initial time namespace: that of bpf_ktime_get_boot_ns() and task->start_boottime."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - _SHIFT
