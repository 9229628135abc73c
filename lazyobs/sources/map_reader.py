# SPDX-License-Identifier: MIT
"""The maps, iterators and programs of an attached session, each read through its descriptor."""

from __future__ import annotations

import os

from lazyobs.bpf import abi, followed, lives, maps, room, slow_forks
from lazyobs.bpf import census as iterators
from lazyobs.bpf.census import CensusRow, VmaRow
from lazyobs.bpf.families import FamilyMaps, FamilyRow
from lazyobs.bpf.layouts import ENTRIES
from lazyobs.bpf.maps import ProcessCounts, ProcessMap, ProcessSlots
from lazyobs.bpf.program_info import program_stats
from lazyobs.bpf.programs import ProgramRuns, point_of
from lazyobs.bpf.session import Session
from lazyobs.bpf.slow_forks import SlowFork
from lazyobs.model import Program
from lazyobs.sources.account import Account, Flow, Held
from lazyobs.unix.clock import boottime_ns

_CENSUS, _CENSUS_VMAS, _CGROUPS = "census:task_vma", "census_vmas:task_vma", "cgroup_paths:task"
_ALLOC, _FREE = "slab_alloc:kmem_cache_alloc", "slab_free:kmem_cache_free"


class MapReader:
    """Values without a map in the session are None; every method raises OSError when the kernel refuses."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._cpus = maps.possible_cpus()
        self._processes = ProcessMap(session.maps["processes"]) if "processes" in session.maps else None
        self._capacity = process_capacity(session)
        self._slots = _mapped_slots(session)
        self._programs = lives.reader(session.maps["programs"]) if "programs" in session.maps else None
        self._families = (
            FamilyMaps(session.maps["families"], session.maps["family_states"]) if "families" in session.maps else None
        )
        self._histograms: maps.Histograms | None = None
        self._census_rows = iterators.CensusRows()

    @property
    def process_capacity(self) -> int | None:
        """Processes that may have counts; None where they are not counted."""
        return self._capacity

    @property
    def has_census(self) -> bool:
        return _CENSUS in self._session.links

    def exited(self) -> dict[str, int] | None:
        """{count: value} of processes that have ended."""
        fd = self._session.maps.get("exited")
        return None if fd is None else maps.exited(fd, self._cpus)

    def totals(self) -> dict[str, int] | None:
        """{count: value} of everything since attach."""
        fd = self._session.maps.get("totals")
        return None if fd is None else maps.totals(fd, self._cpus)

    def begin_command(self, pid: int) -> None:
        """Counts what the process does from now on, and what it starts, apart as well. Needs a plan that follows."""
        followed.begin(self._session.maps[followed.MAP], pid)

    def command(self) -> dict[str, int]:
        """{count: value} of that process and what it started."""
        return followed.totals(self._session.maps[followed.TOTALS], self._cpus)

    def processes(self) -> list[ProcessCounts] | None:
        """The processes that have counts, each once."""
        if self._processes is None:
            return None
        # The hash is read last: a process that is in both counts in its slot from then on.
        return maps.merged([*(self._slots.read() if self._slots else ()), *self._processes.read()])

    def families(self) -> tuple[list[FamilyRow], int]:
        """(families that have waited, passes of the census so far); read after the census, it has its members."""
        return self._families.read() if self._families is not None else ([], 0)

    def slow_forks(self) -> list[SlowFork]:
        """The slowest forks of the last minute. Needs the points process and slab."""
        fd = self._session.maps.get("slow_forks")
        return [] if fd is None else slow_forks.read(fd, self._cpus, boottime_ns())

    def programs_ended(self) -> list[Program]:
        """The ended processes by their name. Needs the point process."""
        return lives.programs(self._programs) if self._programs is not None else []

    def histograms(self) -> dict[str, tuple[int, list[int]]]:
        """{series: (sum, counts by bucket)}."""
        if self._histograms is None:
            self._histograms = maps.Histograms(self._session.maps["histograms"], self._cpus)
        return self._histograms.read()

    def census(self) -> list[CensusRow] | None:
        """A row per process that has VMAs."""
        link = self._session.links.get(_CENSUS)
        return None if link is None else self._census_rows.read(maps.read_iterator(link))

    def cgroups(self) -> dict[int, tuple[int, str]]:
        """The cgroups of those processes and all above: {id: (id of the parent, name)}; empty without the census."""
        link = self._session.links.get(_CGROUPS)
        return {} if link is None else iterators.cgroups(maps.read_iterator(link))

    def vmas(self, pid: int) -> list[VmaRow]:
        """Every VMA of a process; empty if the process has ended. Needs the point census_vmas."""
        abi.map_update(self._session.maps["census_target"], bytes(4), pid.to_bytes(4, "little"))
        return iterators.vmas(maps.read_iterator(self._session.links[_CENSUS_VMAS]))

    def account(self) -> Account:
        """Objects allocated and freed. Needs the point slab."""
        counts = maps.totals(self._session.maps["totals"], self._cpus)
        misses = sum(program_stats(self._session.programs[name])[2] for name in (_ALLOC, _FREE))
        return Account(
            Flow(counts["anon_vma_allocs"], counts["anon_vma_frees"]),
            Flow(counts["chain_allocs"], counts["chain_frees"]),
            misses,
        )

    def held(self) -> Held:
        """Objects that VMAs hold, each address space counted once. Needs the point census."""
        rows = self.census() or ()
        spaces = {row.mm: row for row in rows}.values()
        return Held(
            sum(row.anon_vmas_held for row in spaces),
            sum(row.chains_held for row in spaces),
            sum(row.chains_cut for row in spaces),
            any(row.tgid == 1 for row in rows),
        )

    def alloc_misses(self) -> int:
        """Runs that the probe of allocations has missed. Needs the point slab."""
        return program_stats(self._session.programs[_ALLOC])[2]

    def program_stats(self) -> dict[str, tuple[int, int, int]]:
        """{program: (run time in ns, runs, recursion misses)}."""
        return {name: program_stats(fd) for name, fd in self._session.programs.items()}

    def programs(self) -> list[ProgramRuns]:
        """The same with the names of the programs."""
        return [
            ProgramRuns(point_of(name), name, runs, nanoseconds, missed)
            for name, (nanoseconds, runs, missed) in self.program_stats().items()
        ]

    def close(self) -> None:
        if self._slots is not None:
            self._slots.close()


def process_capacity(session: Session) -> int | None:
    """Processes that its maps have room for; None where it does not count them."""
    fd = session.maps.get(room.MAP)
    return None if fd is None else maps.entries(fd) + ENTRIES["PROCESS_SLOTS"]


def _mapped_slots(session: Session) -> ProcessSlots | None:
    """The map is read through its mapping only; its descriptor, which allows writes, is closed."""
    fd = session.maps.pop("process_slots", None)
    if fd is None:
        return None
    try:
        return ProcessSlots(fd)
    finally:
        os.close(fd)
