# SPDX-License-Identifier: MIT
"""Slab caches from /proc/slabinfo, and which of them share one row because SLUB merged them.

A merged cache's row counts the objects of every cache in the merge. /sys/kernel/slab shows it: the
caches of a merge are symlinks to one directory (":A-0000064"). slabinfo's "active" also counts free
objects on per-CPU slabs, so it lags behind what is live.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

_MOST_DIGITS = 19  # of a number that fits into 63 bits
CACHES = ("anon_vma", "anon_vma_chain", "vm_area_struct")


@dataclass(frozen=True)
class SlabRow:
    """A row of slabinfo. ``object_bytes``: space of one object in its slab, of ``objects_a_slab`` objects."""

    active: int
    total: int
    object_bytes: int
    objects_a_slab: int


class Slabinfo:
    """Keeps /proc/slabinfo open (mode 0400), so that it can be read again after root is given up.

    ``merged``: {cache: the other caches in its row}; a merged row has the name of any one of them.
    """

    def __init__(self, proc_root: str = "/proc", sys_root: str = "/sys") -> None:
        self.merged = {name: merged_with(name, sys_root) for name in CACHES}
        self.why_not = ""
        try:
            self._fd = os.open(os.path.join(proc_root, "slabinfo"), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            self._fd = -1
            self.why_not = f"{proc_root}/slabinfo: {error.strerror}"

    def read(self) -> dict[str, SlabRow]:
        """Rows of the watched caches; empty where slabinfo cannot be read."""
        if self._fd < 0:
            return {}
        wanted = {alias.encode(): name for name in CACHES for alias in (*self.merged[name], name)}
        rows = {}
        for line in self._text().splitlines():
            fields = line.split()
            if fields and fields[0] in wanted and (row := _row(fields[1:5])):
                rows[wanted[fields[0]]] = row
        return rows

    def _text(self) -> bytes:
        parts: list[bytes] = []
        offset = 0
        while True:
            part = os.pread(self._fd, 1 << 16, offset)
            if not part:
                return b"".join(parts)
            parts.append(part)
            offset += len(part)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _row(fields: list[bytes]) -> SlabRow | None:
    """None where they are not the numbers of a row."""
    if len(fields) < 4 or not all(field.isdigit() and len(field) < _MOST_DIGITS for field in fields):
        return None
    return SlabRow(*map(int, fields))


def merged_with(name: str, sys_root: str = "/sys") -> list[str]:
    """Other caches whose objects are in this cache's row; empty where there are none, or /sys does not show them."""
    directory = os.path.join(sys_root, "kernel/slab")
    try:
        target = os.readlink(os.path.join(directory, name))
    except OSError:
        return []
    others = []
    for entry in os.scandir(directory):
        if entry.is_symlink() and entry.name != name and os.readlink(entry.path) == target:
            others.append(entry.name)
    return sorted(others)
