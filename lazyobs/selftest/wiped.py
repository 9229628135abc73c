# SPDX-License-Identifier: MIT
"""VMAs that a fork empties (MADV_WIPEONFORK), as a child finds them.

glibc from 2.41 on keeps the state of getrandom() in one, on kernels that have this call in the vDSO (9651fcedf7b9, "mm:
add MAP_DROPPABLE for designating always lazily freeable mappings", and what follows it, 6.11). A child of Python that has imported ``random`` seeds it anew as soon as it lives: its first write to that VMA, a first
fault like any other.
"""

from __future__ import annotations

import re

_VMA = re.compile(r"^[0-9a-f]+-[0-9a-f]+ .*?^VmFlags:.*?$", re.MULTILINE | re.DOTALL)


def written_to(path: str = "/proc/self/smaps") -> int:
    """How many such VMAs this process has pages in; of a child that has just begun: first faults of its own."""
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    return sum(
        _is_wiped(vma[0]) and not re.search(r"^Rss: +0 kB$", vma[0], re.MULTILINE) for vma in _VMA.finditer(text)
    )


def _is_wiped(vma: str) -> bool:
    return "wf" in vma.rpartition("VmFlags:")[2].split()
