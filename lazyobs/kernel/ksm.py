# SPDX-License-Identifier: MIT
"""Pages that KSM shares, from /sys/kernel/mm/ksm."""

from __future__ import annotations

import os


def shared_pages(sys_root: str = "/sys") -> int:
    """Page slots that KSM has merged. Each refers to an anon_vma until ksmd finds that its VMA is gone (struct
    ksm_rmap_item in mm/ksm.c). 0 where the kernel has no KSM, or /sys does not show it."""
    return sum(_number(os.path.join(sys_root, "kernel/mm/ksm", name)) for name in ("pages_shared", "pages_sharing"))


def _number(path: str) -> int:
    try:
        with open(path, "rb") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0
