# SPDX-License-Identifier: MIT
"""The families of a sample: waits for the lock of a root anon_vma, and the processes that share it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lazyobs.bpf.families import FamilyRow
from lazyobs.model import LOCK_PATHS, MOST_FAMILIES, Family, Process
from lazyobs.text import c_string


def families_of(rows: Iterable[FamilyRow], passes: int, processes: Iterable[Process], offset: float) -> list[Family]:
    """The families that waited longest, at most MOST_FAMILIES. ``passes``: of the census, the last of which says who is
    in a family; 0 where there is no census. ``offset``: unix time of boot."""
    longest = sorted(rows, key=lambda row: row.waited_ns, reverse=True)[:MOST_FAMILIES]
    if not longest:
        return []
    known = {(process.pid, process.start_time): process for process in processes}
    return [_family(row, passes, known, offset) for row in longest]


def _family(row: FamilyRow, passes: int, processes: Mapping[tuple[int, float], Process], offset: float) -> Family:
    met = passes > 0 and row.last_pass == passes
    start = round(offset + row.owner_start / 1e9, 2)
    owner = processes.get((row.owner, start)) if met else None
    # Without a census it is not known; with one that met no member there is none.
    none = 0 if passes else None
    return Family(
        number=row.number,
        first_wait=round(offset + row.since / 1e9, 3),
        pid=row.owner if met else None,
        start_time=start if met else None,
        comm=c_string(row.comm) if met else None,
        cgroup=owner.cgroup if owner is not None else None,
        processes=row.processes if met else none,
        vmas=row.vmas if met else none,
        chains=row.chains if met else none,
        waits=row.waits,
        write_waits=row.write_waits,
        waited_ns=row.waited_ns,
        longest_ns=row.longest_ns,
        waits_by_path=dict(zip(LOCK_PATHS, row.by_path)),
    )
