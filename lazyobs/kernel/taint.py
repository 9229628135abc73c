# SPDX-License-Identifier: MIT
"""Taint flags of the kernel, and its counts of warnings and oopses since boot.

All can be read without privileges (admin-guide/tainted-kernels.rst; warn_count and oops_count since 6.2),
unlike the kernel log.
"""

from __future__ import annotations

import os

# flag: bit of kernel.tainted
TAINTS = {"bad_page": 5, "died": 7, "warning": 9, "soft_lockup": 14}


def tainted(proc_root: str = "/proc") -> dict[str, int]:
    """{flag: 0 or 1}. OSError where it cannot be read."""
    with open(os.path.join(proc_root, "sys/kernel/tainted"), encoding="ascii") as file:
        mask = int(file.read())
    return {flag: mask >> bit & 1 for flag, bit in TAINTS.items()}


def warnings(sys_root: str = "/sys") -> int | None:
    """WARN()s since boot, None before 6.2."""
    return _count(os.path.join(sys_root, "kernel/warn_count"))


def oopses(sys_root: str = "/sys") -> int | None:
    """Oopses since boot, None before 6.2."""
    return _count(os.path.join(sys_root, "kernel/oops_count"))


def _count(path: str) -> int | None:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except FileNotFoundError:
        return None
