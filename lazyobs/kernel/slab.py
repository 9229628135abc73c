# SPDX-License-Identifier: MIT
"""Slab caches from /proc/slabinfo, and which of them share one row because SLUB merged them.

A merged cache's row counts the objects of every cache in the merge. /sys/kernel/slab shows it: the
caches of a merge are symlinks to one directory (":A-0000064"). slabinfo's "active" also counts free
objects on per-CPU slabs and in sheaves (2d517aa09bbc, "slab: add opt-in caching layer of percpu
sheaves", 6.18; all caches from 7.0 on), so it is an upper bound of what is live: on 7.3 1,035 anon_vmas
were active, and 120 after a shrink. ``free_at_most`` bounds the difference.
"""

from __future__ import annotations

import glob
import os
from typing import NamedTuple

from lazyobs.kernel.slab_counts import SlabCounts

_HIDDEN = "{}/kernel/slab cannot be seen: a row may count the objects of other caches too"
_MOST_DIGITS = 19  # of a number that fits into 63 bits
CACHES = ("anon_vma", "anon_vma_chain", "vm_area_struct")


class SlabRow(NamedTuple):
    """A row of slabinfo. ``object_bytes``: space of one object in its slab, of ``objects_a_slab`` objects."""

    active: int
    total: int
    object_bytes: int
    objects_a_slab: int


UNKNOWN = "unknown"  # in place of the names of caches


class Slabinfo:
    """Keeps /proc/slabinfo open (mode 0400), so that it can be read again after root is given up.

    ``merged``: {cache: the other caches in its row}; a merged row has the name of any one of them. ``why_no_merges``:
    why that is not known, "" where it is. ``free``: {cache: free_at_most}.
    """

    def __init__(self, proc_root: str = "/proc", sys_root: str = "/sys") -> None:
        self.merged = {name: merged_with(name, sys_root) for name in CACHES}
        self.why_no_merges = "" if os.path.isdir(f"{sys_root}/kernel/slab") else _HIDDEN.format(sys_root)
        self.free = {name: free_at_most(name, sys_root) for name in CACHES}
        self.why_not = ""
        try:
            self._fd = os.open(os.path.join(proc_root, "slabinfo"), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            self._fd = -1
            self.why_not = f"{proc_root}/slabinfo: {error.strerror}"
        self._counts = {name: SlabCounts(name, sys_root) for name in CACHES} if not self.why_not else {}
        self._rows: dict[str, SlabRow] = {}  # of the first reading: the sizes stay

    def read(self) -> dict[str, SlabRow]:
        """Rows of the watched caches; empty where slabinfo cannot be read."""
        if self._fd < 0:
            return {}
        return self._short() or self._whole()

    def _short(self) -> dict[str, SlabRow]:
        """The rows without slabinfo, which takes ten times as long; empty where they cannot be had so."""
        rows = {}
        for name, row in self._rows.items():
            found = self._counts[name].read()
            if found is None:
                return {}
            rows[name] = row._replace(active=found[0], total=found[1])
        return rows

    def _whole(self) -> dict[str, SlabRow]:
        wanted = {alias.encode(): name for name in CACHES for alias in (*self.merged[name], name)}
        rows = {}
        for line in self._text().splitlines():
            fields = line.split()
            if fields and fields[0] in wanted and (row := _row(fields[1:5])):
                rows[wanted[fields[0]]] = row
        self._rows = rows
        return dict(rows)

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
        for counts in self._counts.values():
            counts.close()


def _row(fields: list[bytes]) -> SlabRow | None:
    """None where they are not the numbers of a row."""
    if len(fields) < 4 or not all(field.isdigit() and len(field) < _MOST_DIGITS for field in fields):
        return None
    return SlabRow(*map(int, fields))


def merged_with(name: str, sys_root: str = "/sys") -> list[str]:
    """Other caches whose objects are in this cache's row; UNKNOWN where /sys does not show them: the row may be shared."""
    directory = os.path.join(sys_root, "kernel/slab")
    if not os.path.isdir(directory):
        return [UNKNOWN]
    try:
        target = os.readlink(os.path.join(directory, name))
    except OSError:
        return []
    others = []
    for entry in os.scandir(directory):
        if entry.is_symlink() and entry.name != name and os.readlink(entry.path) == target:
            others.append(entry.name)
    return sorted(others)


# A CPU has a main, a spare and an RCU sheaf; a node has a barn of at most MAX_FULL_SHEAVES of them (mm/slub.c).
_SHEAVES_OF_A_CPU, _FULL_SHEAVES_OF_A_NODE = 3, 10


def free_at_most(name: str, sys_root: str = "/sys") -> int | None:
    """Most free objects that slabinfo counts as active, from the sizes of the cache's sheaves and per-CPU slabs.

    None where /sys does not show the cache. What a shrink leaves behind is less.
    """
    slab = os.path.join(sys_root, "kernel/slab", name)
    each = _number(os.path.join(slab, "objs_per_slab"))
    if each is None:
        return None
    cpus = os.cpu_count() or 1
    nodes = len(glob.glob(os.path.join(glob.escape(sys_root), "devices/system/node/node[0-9]*"))) or 1
    sheaf = _number(os.path.join(slab, "sheaf_capacity")) or 0
    in_sheaves = sheaf * (_SHEAVES_OF_A_CPU * cpus + _FULL_SHEAVES_OF_A_NODE * nodes)
    partial = _number(os.path.join(slab, "cpu_partial"))
    # Before 7.0: one slab in use by each CPU, and partial ones for cpu_partial objects if each were half full.
    on_slabs = 0 if partial is None else cpus * each * (1 + -(-2 * partial // each))
    return in_sheaves + on_slabs


def _number(path: str) -> int | None:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read().split()[0])
    except (OSError, ValueError, IndexError):
        return None
