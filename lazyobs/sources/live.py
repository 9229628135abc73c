# SPDX-License-Identifier: MIT
"""The running kernel through BPF: counters from maps, VMAs from the census iterator."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from lazyobs.bpf import census, maps
from lazyobs.bpf.counts import MAP_FULL_COUNTS
from lazyobs.bpf.event_counts import EventCounts
from lazyobs.bpf.layouts import PROCESS_CAPACITY
from lazyobs.bpf.maps import ProcessCounts, ProcessMap, ProcessSlots
from lazyobs.bpf.session import Session
from lazyobs.kernel.boot import boot_offset
from lazyobs.kernel.facts import Subject, lazy_switch
from lazyobs.kernel.slab import CACHES, Slabinfo, SlabRow
from lazyobs.model import CENSUS_NAMES, COUNTER_NAMES, HISTOGRAMS, Kernel, Process, Sample, Slab, rate, total_rates
from lazyobs.sources import self_usage
from lazyobs.sources.cgroups import CgroupPaths
from lazyobs.sources.counters import CounterTable, required_missing
from lazyobs.sources.ledger import Account, Ledger
from lazyobs.sources.savings import ObjectBytes
from lazyobs.unix.users import user_name

_CENSUS, _CENSUS_VMAS = "census:task_vma", "census_vmas:task_vma"
_ALLOC, _FREE = "slab_alloc:kmem_cache_alloc", "slab_free:kmem_cache_free"
_LEDGER = "totals.violations_by_invariant.ledger"
_Identity = tuple[int, int]  # tgid, start_boottime in ns
_Read = TypeVar("_Read")


class _Seen(NamedTuple):
    """A process in the last sample and what it was made of. ``idle``: it had not moved since the one before either,
    so its rates are zeros, and while nothing changes the same object stands for it again: most processes do nothing.
    """

    row: census.CensusRow | None
    counts: tuple[int, ...] | None
    process: Process
    idle: bool


class LiveSource:
    """Samples from an attached session. Holds only descriptors: works without privileges.

    Without ``rates`` the processes have none: for who asks once in a while and wants it cheap.
    ``ledger`` is for who takes barrier readings: it is given them, and its violations are in the samples.
    """

    def __init__(self, facts: Subject, session: Session, slabinfo: Slabinfo, rates: bool = True) -> None:
        self.facts, self.session, self._slabinfo, self._rates = facts, session, slabinfo, rates
        self._cpus = maps.possible_cpus()
        self._processes = ProcessMap(session.maps["processes"]) if "processes" in session.maps else None
        self._process_slots = self._mapped_slots(session)
        self._table = CounterTable(session, facts.profile)
        self._cgroups = CgroupPaths()
        self._boot_offset = boot_offset()
        self._attached = time.monotonic()
        self._last = self._attached
        self._slab_baseline = slabinfo.read()
        self._bytes = self._object_bytes(self._slab_baseline)
        self._before: dict[str, Any] = {}
        self._seen: dict[_Identity, _Seen] = {}
        self._failed: dict[str, str] = {}
        counts = session.maps.get("event_counts")
        self._events = EventCounts(counts, self._cpus) if counts is not None else None
        self.ledger = Ledger()

    @staticmethod
    def _mapped_slots(session: Session) -> ProcessSlots | None:
        """The map is read from its mapping alone: its descriptor, which could write, does not stay."""
        fd = session.maps.pop("process_slots", None)
        if fd is None:
            return None
        try:
            return ProcessSlots(fd)
        finally:
            os.close(fd)

    def _object_bytes(self, slabs: dict[str, SlabRow]) -> ObjectBytes:
        def room(cache: str) -> int:
            if cache in slabs:
                return slabs[cache].object_bytes
            return self.facts.struct_bytes.get(cache, 0)

        return ObjectBytes(room("anon_vma"), room("anon_vma_chain"))

    def read(self) -> Sample:
        """One sample. ``exited`` is read first, so an exit meanwhile is missed once, never counted twice.

        A part that cannot be read is null in the sample and named in ``Sample.failed``; the others stand.
        """
        now = time.monotonic()
        elapsed, self._last = now - self._last, now
        self._failed = {}
        ended = self._part("exited", self._read_exited)
        live = self._part("processes", self._read_processes)
        slots = self._part("totals", self._read_totals)
        slabs = self._part("slabs", self._slabinfo.read) or {}
        rows = self._part("census", self._census)
        histograms = self._part("histograms", self._histograms)
        health = self._part("health", self._program_health)
        totals = self._totals(slots)
        sample = Sample(
            time=time.time(),
            elapsed=round(elapsed, 6),
            kernel=Kernel(self.facts.release, self.facts.profile.name, lazy_switch(self.facts.profile)),
            tiers=dict(self.session.tiers),
            totals=totals,
            rates=total_rates(totals, self._before, elapsed),
            exited=self._table.of_counts(ended) if ended else {},
            census=self._census_totals(rows),
            slabs=slab_rows(self._slabinfo, slabs),
            processes=self._process_rows(live, rows, elapsed),
            histograms=histograms or {series: None for kind in HISTOGRAMS for series in kind.series()},
            health=self._health(slots, totals, slabs, live, health or {}),
            null_reasons=self._null_reasons(),
            failed=dict(self._failed),
        )
        self._before = totals
        return sample

    def _part(self, name: str, read: Callable[[], _Read]) -> _Read | None:
        """What ``read`` returns, or None and the reason noted where the kernel would not or made no sense."""
        try:
            return read()
        except (OSError, ValueError, KeyError, struct.error) as error:
            self._failed[name] = f"reading failed: {error}"
            return None

    def _read_exited(self) -> dict[str, int] | None:
        return maps.exited(self.session.maps["exited"], self._cpus) if "exited" in self.session.maps else None

    def _read_processes(self) -> list[ProcessCounts] | None:
        if self._processes is None:
            return None
        # The hash last: a process that has both uses its slot from then on.
        return maps.merged([*(self._process_slots.read() if self._process_slots else ()), *self._processes.read()])

    def _read_totals(self) -> dict[str, int] | None:
        return maps.totals(self.session.maps["totals"], self._cpus) if "totals" in self.session.maps else None

    def _histograms(self) -> dict[str, dict[str, Any] | None]:
        return self._table.histograms(lambda: maps.histograms(self.session.maps["histograms"], self._cpus))

    def _census(self) -> list[census.CensusRow]:
        link = self.session.links.get(_CENSUS)
        if link is None:
            return []
        return list(census.rows(maps.read_iterator(link)))

    def account(self) -> Account | None:
        """anon_vma objects allocated and freed; None where they are not all counted. OSError from the maps."""
        if not self.session.tiers.get("slab") or "ledger" in self.session.unjudged:
            return None
        slots = maps.totals(self.session.maps["totals"], self._cpus)
        misses = [maps.program_stats(self.session.programs[name])[2] for name in (_ALLOC, _FREE)]
        return Account(slots["anon_vma_allocs"], slots["anon_vma_frees"], *misses)

    def vmas(self, pid: int) -> list[census.VmaRow]:
        """Every VMA of one process; empty when it has gone. Needs the point census_vmas."""
        from lazyobs.bpf import abi

        abi.map_update(self.session.maps["census_target"], bytes(4), pid.to_bytes(4, "little"))
        return census.vmas(maps.read_iterator(self.session.links[_CENSUS_VMAS]))

    def _totals(self, slots: dict[str, int] | None) -> dict[str, Any]:
        if slots is None:
            return {}
        totals: dict[str, Any] = dict(self._table.of_counts(slots))
        # A prepare is taken back when another thread was first: between two samples that must not show.
        before = self._before.get("prepares")
        if before is not None and totals["prepares"] is not None:
            totals["prepares"] = max(before, totals["prepares"])
        totals.update(self._table.divided(slots))
        if self.ledger.violations is not None:
            totals["violations_by_invariant"]["ledger"] = self.ledger.violations
            totals["violations"] = (totals["violations"] or 0) + self.ledger.violations
        return totals

    def _census_columns(self, row: census.CensusRow) -> dict[str, int | None]:
        profile = self.facts.profile
        return {
            "vmas": row.vmas,
            "vmas_anon": row.vmas_anon,
            "vmas_lazy": row.vmas_lazy,
            "vmas_private": row.vmas_private,
            "vmas_shared": row.vmas_shared,
            "saved_bytes": self._bytes.saved(row.vmas_lazy, row.classic_anon_vmas, bool(profile.pool_member)),
            "savable_bytes": self._bytes.savable(row.vmas_private),
        }

    def _census_totals(self, rows: list[census.CensusRow] | None) -> dict[str, int | None]:
        """Sums over address spaces: processes that share one count once."""
        if rows is None or _CENSUS not in self.session.links:
            return dict.fromkeys(CENSUS_NAMES)
        spaces = {row.mm: row for row in rows}.values()
        sums: dict[str, int | None] = {
            name: sum(getattr(row, name) for row in spaces) for name in CENSUS_NAMES if not name.endswith("_bytes")
        }
        pool = bool(self.facts.profile.pool_member)
        sums["saved_bytes"] = sum(self._bytes.saved(row.vmas_lazy, row.classic_anon_vmas, pool) for row in spaces)
        sums["savable_bytes"] = self._bytes.savable(sum(row.vmas_private for row in spaces))
        return sums

    def _process_rows(
        self, live: list[ProcessCounts] | None, rows: list[census.CensusRow] | None, elapsed: float
    ) -> list[Process]:
        counted = {(entry.tgid, entry.start_boottime): entry for entry in live or ()}
        found = []
        before, self._seen = self._seen, {}
        for row in rows or ():
            identity = (row.tgid, row.start_boottime)
            entry = counted.pop(identity, None)
            counts = entry.counts if entry else None
            seen = before.get(identity)
            if seen is None or not (seen.idle and seen.row == row and seen.counts == counts and live is not None):
                process = self._process(
                    identity,
                    row.uid,
                    row.ppid,
                    row.comm,
                    self._cgroups.path(row.cgroup, row.tgid),
                    self._census_columns(row),
                    self._process_counts(entry, live is not None),
                    seen,
                    bool(before),
                    elapsed,
                )
                idle = live is not None and seen is not None and seen.process.counts == process.counts
                seen = _Seen(row, counts, process, idle)
            self._seen[identity] = seen
            found.append(seen.process)
        unknown: dict[str, int | None] = dict.fromkeys(CENSUS_NAMES)
        none: dict[str, int | None] = dict.fromkeys(CENSUS_NAMES, 0)
        for identity, entry in counted.items():
            # No VMAs: a kernel thread (kswapd, ksmd, khugepaged), or a process that has just begun or ended.
            columns = none if rows is not None and _CENSUS in self.session.links else unknown
            of_entry = self._process_counts(entry, True)
            seen = before.get(identity)
            process = self._process(
                identity, entry.uid, None, entry.comm, None, dict(columns), of_entry, seen, bool(before), elapsed
            )
            self._seen[identity] = _Seen(None, entry.counts, process, False)
            found.append(process)
        return found

    def _process_counts(self, entry: ProcessCounts | None, known: bool) -> dict[str, int | None]:
        """Zeros for a process that has no entry, None where the entries could not be read."""
        return self._table.of_process(entry.counts if entry else None) if known else dict.fromkeys(COUNTER_NAMES)

    def _process(
        self,
        identity: _Identity,
        uid: int,
        ppid: int | None,
        comm: bytes,
        cgroup: str | None,
        columns: dict[str, int | None],
        counts: dict[str, int | None],
        seen: _Seen | None,
        has_before: bool,
        elapsed: float,
    ) -> Process:
        return Process(
            pid=identity[0],
            start_time=round(self._boot_offset + identity[1] / 1e9, 2),
            user=user_name(uid),
            comm=comm.split(b"\0", 1)[0].decode("utf-8", "replace"),
            cgroup=cgroup,
            census=columns,
            counts=counts,
            rates=self._process_rates(counts, seen, has_before, elapsed) if self._rates else {},
            ppid=ppid,
        )

    @staticmethod
    def _process_rates(
        counts: dict[str, int | None], seen: _Seen | None, has_before: bool, elapsed: float
    ) -> dict[str, float | None]:
        """A process that was not there before began with zeros; without a sample before there are no rates."""
        old = seen.process.counts if seen else dict.fromkeys(counts, 0) if has_before else {}
        return {name: rate(count, old.get(name), elapsed) for name, count in counts.items()}

    def _program_health(self) -> dict[str, float | None]:
        stats = [maps.program_stats(fd) for fd in self.session.programs.values()]
        runs = sum(count for _, count, _ in stats)
        return {
            "recursion_misses": sum(missed for _, _, missed in stats),
            "bpf_runs": runs or None,
            "bpf_seconds": round(sum(time for time, _, _ in stats) / 1e9, 9) if runs else None,
        }

    def _health(
        self,
        slots: dict[str, int] | None,
        totals: dict[str, Any],
        slabs: dict[str, SlabRow],
        live: list[ProcessCounts] | None,
        programs: dict[str, float | None],
    ) -> dict[str, float | None]:
        return {
            "ring_lost": self._events.lost() if self._events else None,
            "map_full": sum(slots[name] for name in MAP_FULL_COUNTS) if slots else None,
            "process_map_entries": None if live is None else len(live),
            "process_map_capacity": PROCESS_CAPACITY if self._processes else None,
            "recursion_misses": programs.get("recursion_misses"),
            "probes_missing": required_missing(self.session),
            "bpf_runs": programs.get("bpf_runs"),
            "bpf_seconds": programs.get("bpf_seconds"),
            "self_cpu_seconds": self_usage.cpu_seconds(),
            "self_rss_bytes": self_usage.rss_bytes(),
            "ledger_residual": self._ledger_residual(totals, slabs),
        }

    def _ledger_residual(self, totals: dict[str, Any], slabs: dict[str, SlabRow]) -> int | None:
        """Live anon_vma objects by slabinfo against our own account, both since attach."""
        allocs, frees = totals.get("anon_vma_allocs"), totals.get("anon_vma_frees")
        if "anon_vma" not in slabs or "anon_vma" not in self._slab_baseline or allocs is None or frees is None:
            return None
        change: int = slabs["anon_vma"].active - self._slab_baseline["anon_vma"].active
        return change - int(allocs - frees)

    def _null_reasons(self) -> dict[str, str]:
        reasons = dict(self._table.reasons)
        if self.ledger.violations is not None:
            reasons.pop("totals.violations", None)
        else:
            reasons.setdefault(_LEDGER, "judged at barrier readings, from the second on: lazyobs record takes them")
        if self._events is None:
            reasons["health.ring_lost"] = "no event stream in this command"
        reasons["health.bpf_runs"] = reasons["health.bpf_seconds"] = "kernel.bpf_stats_enabled is 0"
        if self._slabinfo.why_not:
            reasons["health.ledger_residual"] = reasons["slabs"] = self._slabinfo.why_not
        if _CENSUS not in self.session.links:
            why = self.session.refused.get("census", {}).get("iter", "not attached")
            reasons["census"] = f"iter: {why}"
        return reasons | self._failed

    def close(self) -> None:
        if self._process_slots:
            self._process_slots.close()
        self.session.close()
        self._slabinfo.close()


def slab_rows(slabinfo: Slabinfo, rows: dict[str, SlabRow]) -> list[Slab]:
    """The watched caches as the schema has them; unknown numbers are None."""
    found = []
    for name in CACHES:
        row = rows.get(name)
        found.append(
            Slab(
                name,
                row.active if row else None,
                row.total if row else None,
                row.object_bytes if row else None,
                slabinfo.merged[name],
            )
        )
    return found
