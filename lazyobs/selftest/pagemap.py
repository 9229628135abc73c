# SPDX-License-Identifier: MIT
"""What /proc says about single pages of this process (Documentation/admin-guide/mm/pagemap.rst)."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from lazyobs.selftest.syscalls import PAGE

_PRESENT, _SWAPPED, _FRAME = 1 << 63, 1 << 62, (1 << 55) - 1
_WORD = struct.Struct("=Q")
# include/uapi/linux/kernel-page-flags.h
TAIL, THP = 16, 22


def _words(addresses: Iterable[int], path: str = "/proc/self/pagemap") -> list[int]:
    found = []
    with open(path, "rb", buffering=0) as file:
        for address in addresses:
            file.seek(address // PAGE * _WORD.size)
            found.append(_WORD.unpack(file.read(_WORD.size))[0])
    return found


def pages_of(addresses: Iterable[int], pages: int) -> list[int]:
    """Address of every page of areas of ``pages`` pages."""
    return [page for address in addresses for page in range(address, address + pages * PAGE, PAGE)]


def swapped(addresses: Iterable[int], pid: int | str = "self") -> int:
    """How many of the pages are in swap."""
    return sum(bool(word & _SWAPPED) for word in _words(addresses, f"/proc/{pid}/pagemap"))


def frames(addresses: Iterable[int]) -> list[int]:
    """Page frame numbers; 0 for a page that is not in memory, and without CAP_SYS_ADMIN."""
    return [word & _FRAME if word & _PRESENT else 0 for word in _words(addresses)]


def with_flag(addresses: Iterable[int], bit: int) -> int:
    """How many of the pages in memory have a flag of /proc/kpageflags."""
    found = 0
    with open("/proc/kpageflags", "rb", buffering=0) as file:
        for frame in frames(addresses):
            if frame:
                file.seek(frame * _WORD.size)
                found += _WORD.unpack(file.read(_WORD.size))[0] >> bit & 1
    return found


def huge_bytes(address: int) -> int:
    """AnonHugePages of the VMA that begins at ``address``, in bytes."""
    head = f"{address:08x}-"
    with open("/proc/self/smaps", encoding="utf-8", errors="replace") as file:
        inside = False
        for line in file:
            first = line.split(" ", 1)[0]
            if not first.endswith(":"):
                inside = first.startswith(head)
            elif inside and first == "AnonHugePages:":
                return int(line.split()[1]) << 10
    return 0
