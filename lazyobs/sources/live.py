# SPDX-License-Identifier: MIT
"""The running kernel through BPF: counters from maps, VMAs from the census iterator."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from lazyobs.bpf import features
from lazyobs.bpf.census import CensusRow, VmaRow
from lazyobs.bpf.event_counts import EventCounts
from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.maps import ProcessCounts, possible_cpus
from lazyobs.bpf.programs import ProgramRuns
from lazyobs.bpf.session import Session
from lazyobs.bpf.stacks import MAP as STACKS
from lazyobs.bpf.stacks import StackMap
from lazyobs.errors import NotSupported
from lazyobs.kernel import meminfo
from lazyobs.kernel.facts import Subject, lazy_switch
from lazyobs.kernel.slab import Slabinfo, SlabRow
from lazyobs.model import CENSUS_NAMES, HEALTH_NAMES, HISTOGRAMS, Kernel, Sample, total_rates
from lazyobs.sources import health, sight
from lazyobs.sources.account import Account, Held
from lazyobs.sources.census_columns import ALLOCATED, CensusColumns
from lazyobs.sources.cgroups import KernelCgroups
from lazyobs.sources.counters import CounterTable, required_missing
from lazyobs.sources.families import families_of
from lazyobs.sources.history import History
from lazyobs.sources.ledger import Ledger, LedgerReading
from lazyobs.sources.live_processes import LiveProcesses
from lazyobs.sources.live_trace import LiveTrace
from lazyobs.sources.map_reader import MapReader
from lazyobs.sources.missing import NO_ARGS, NO_STREAM, missing_features
from lazyobs.sources.own_cost import OwnCost
from lazyobs.sources.slabs import slab_rows
from lazyobs.sources.slow_forks import forks_of
from lazyobs.text import plural

if TYPE_CHECKING:
    from lazyobs.bpf.event_stream import EventStream
    from lazyobs.kernel.log import Splats
    from lazyobs.kernel.symbols import Symbols
    from lazyobs.sources.procfs import ProcfsSource

_LEDGER = "totals.violations_by_invariant.ledger"
_Read = TypeVar("_Read")


class LiveSource:
    """A Source (sources/source.py) on an attached session. It holds only descriptors, so it works without privileges."""

    live = True

    def __init__(
        self,
        facts: Subject,
        session: Session,
        slabinfo: Slabinfo,
        rates: bool = True,
        stream: EventStream | None = None,
        splats: Splats | None = None,
        args: bool = False,
        budget: float | None = None,
    ) -> None:
        """Without ``rates`` the processes have no rates, which makes occasional samples cheaper.
        A trace reads from ``stream`` and ``splats``; None for neither. ``args``: processes have command lines.
        ``budget``: see sources/budget.py; it takes a session whose loader stays."""
        self.facts, self.session, self._slabinfo = facts, session, slabinfo
        self._stream, self._splats = stream, splats
        self._own = OwnCost(session, budget, stream)  # before MapReader closes what it maps
        self._maps = MapReader(session)
        self._table = CounterTable(session, facts.profile)
        self._slabs_at_attach = slabinfo.read()
        counts_objects = session.tiers.get("slab") and not session.unknown.keys() & set(ALLOCATED)
        self._history = History() if counts_objects else None
        self._columns = CensusColumns(facts, self._slabs_at_attach, session.unknown, self._history)
        self._sees_all = sight.sees_every_process()
        self._args = args
        cgroups = KernelCgroups(self._maps.cgroups)
        self._processes = LiveProcesses(self._table, self._columns, rates, cgroups, self._sees_all, args)
        counts = session.maps.get("event_counts")
        self._event_counts = EventCounts(counts, possible_cpus()) if counts is not None else None
        self._live_at_first = 0  # anon_vmas of our count when slabinfo was first read
        self._ledger = Ledger()
        no_log = splats.log.why_not if splats is not None else "the kernel log is not read in this command"
        self._missing = missing_features(session, facts.profile, no_log)
        self._last = time.monotonic()
        self._totals_before: dict[str, Any] = {}
        self._failed: dict[str, str] = {}
        self._has_command, self._no_command = False, ""
        self._note_misses(self._part("totals", self._maps.totals))

    def follow(self, before: ProcfsSource) -> None:
        """The next sample comes after the last one of ``before``, whose slabinfo this source has taken over.

        The probes have counted for a while by now, so what they have counted goes with the first reading of slabinfo.
        """
        self._last = before.last_reading
        counted = self._totals(self._part("totals", self._maps.totals))
        allocs, frees = counted.get("anon_vma_allocs"), counted.get("anon_vma_frees")
        self._live_at_first = 0 if allocs is None or frees is None else allocs - frees

    def begin_command(self, pid: int) -> None:
        """From now on samples have ``command``: what the process ``pid`` does from its next exec on, and all that it
        starts. Needs a session that follows (``open_live``)."""
        if not self._sees_all:  # the kernel knows it by another pid
            self._no_command = "the probes count by the host's pids, and lazyobs runs in a pid namespace"
            return
        self._maps.begin_command(pid)
        self._has_command = True

    @property
    def kernel(self) -> Kernel:
        return Kernel(self.facts.release, self.facts.profile.name, lazy_switch(self.facts.profile))

    @property
    def tiers(self) -> Mapping[str, str | None]:
        return self.session.tiers

    @property
    def compiler(self) -> str:
        return self.session.compiler

    def memory(self) -> dict[str, int]:
        return meminfo.read()

    def why_not(self, feature: str) -> str:
        return features.why_not(feature, self._missing)

    def read(self) -> Sample:
        """One sample. ``exited`` is read first, so an exit during the reading is missed once, never counted twice.
        Its instant is that of the totals, from which rates are made.

        A part that cannot be read is null in the sample and named in ``Sample.failed``; the other parts are valid.
        """
        self._failed = {}
        ended = self._part("exited", self._maps.exited)
        counted = self._part("processes", self._maps.processes)
        at, now = time.time(), time.monotonic()
        elapsed, self._last = now - self._last, now
        counts = self._part("totals", self._maps.totals)
        slabs = self._part("slabs", self._slabinfo.read) or {}
        began = time.thread_time()
        census = self._part("census", self._maps.census) if self._own.takes_census else None
        census_cpu = time.thread_time() - began
        forks = self._part("slow_forks", self._maps.slow_forks)
        lives = self._part("programs", self._maps.programs_ended)
        waited = self._part("families", self._maps.families)
        histograms = self._part("histograms", self._histograms)
        stats = self._part("health", self._maps.program_stats)
        shed = not self._own.takes_census
        processes = self._processes.read(census, counted, elapsed, shed)
        totals = self._totals(counts)
        found_health = {
            **health.of_maps(counts, None if counted is None else len(counted), self._maps.process_capacity),
            **(health.of_programs(list(stats.values()), counts) if stats else {}),
            **self._own_health(totals, slabs),
            **self._own.note(elapsed, census_cpu, {name: one[:2] for name, one in (stats or {}).items()}),
        }
        self._note_misses(counts)
        sample = Sample(
            time=at,
            elapsed=round(elapsed, 6),
            kernel=self.kernel,
            tiers=dict(self.session.tiers),
            totals=totals,
            rates=total_rates(totals, self._totals_before, elapsed),
            exited=self._table.of_counts(ended) if ended else {},
            census=self._sums(census, counted),
            slabs=slab_rows(self._slabinfo, slabs),
            processes=processes,
            histograms=histograms or {series: None for kind in HISTOGRAMS for series in kind.series()},
            health={name: found_health.get(name) for name in HEALTH_NAMES},
            null_reasons=self._null_reasons(shed),
            command=self._command(),
            failed=dict(self._failed),
            slow_forks=forks_of(forks or (), self._table.known, self._processes.boot_offset),
            programs=lives or [],
            families=families_of(*waited, processes, self._processes.boot_offset)
            if waited and self._waits_known
            else [],
        )
        self._totals_before = totals
        if self._own.decide(found_health):
            self._table.refresh()
        return sample

    @property
    def _waits_known(self) -> bool:
        return "lock_waits" in self._table.counts

    def _note_misses(self, counts: dict[str, int] | None) -> None:
        if self._history is not None and counts is not None:
            misses = self._part("health", self._maps.alloc_misses)
            if misses is not None:
                self._history.note(misses, counts["process_map_full"])

    def _part(self, name: str, read: Callable[[], _Read]) -> _Read | None:
        """What ``read`` returns. If the kernel refused or its data is invalid, notes the reason and returns None."""
        try:
            return read()
        except (OSError, ValueError, KeyError, struct.error) as error:
            self._failed[name] = f"reading failed: {error}"
            return None

    def _totals(self, counts: dict[str, int] | None) -> dict[str, Any]:
        if counts is None:
            return {}
        totals: dict[str, Any] = dict(self._table.of_counts(counts))
        # A prepare is decremented when another thread was first: a counter must not fall between two samples.
        before = self._totals_before.get("prepares")
        if before is not None and totals["prepares"] is not None:
            totals["prepares"] = max(before, totals["prepares"])
        totals.update(self._table.divided(counts))
        if self._ledger.violations is not None:
            totals["violations_by_invariant"]["ledger"] = self._ledger.violations
            totals["violations"] = (totals["violations"] or 0) + self._ledger.violations
        return totals

    def _command(self) -> dict[str, Any] | None:
        counts = self._part("command", self._maps.command) if self._has_command else None
        return None if counts is None else {**self._table.of_counts(counts), **self._table.divided(counts)}

    def _histograms(self) -> dict[str, dict[str, Any] | None]:
        return self._table.histograms(self._maps.histograms)

    def _sums(self, census: list[CensusRow] | None, counted: list[ProcessCounts] | None) -> dict[str, int | None]:
        if census is None or not self._sees_all:
            return dict.fromkeys(CENSUS_NAMES)
        counts = {(entry.tgid, entry.start_boottime): entry.counts for entry in counted or ()}
        return self._columns.of_all(census, counts)

    def _own_health(self, totals: dict[str, Any], slabs: dict[str, SlabRow]) -> health.Health:
        return {
            "ring_lost": self._event_counts.lost() if self._event_counts else None,
            "probes_missing": required_missing(self.session),
            "ledger_residual": health.ledger_residual(totals, slabs, self._slabs_at_attach, self._live_at_first),
            **health.of_this_process(),
        }

    def _null_reasons(self, census_shed: bool) -> dict[str, str]:
        reasons = dict(self._table.reasons)
        if self._ledger.violations is not None:
            reasons.pop("totals.violations", None)
        else:
            why = (
                self._missing.get("ledger")
                or "judged at barrier readings, from the second on: lazyobs record takes them"
            )
            reasons.setdefault(_LEDGER, why)
        if self._event_counts is None:
            reasons["health.ring_lost"] = NO_STREAM
        if self.session.meter is None:
            reasons["health.bpf_runs"] = reasons["health.bpf_seconds"] = "kernel.bpf_stats_enabled is 0"
        reasons |= self._own.reasons
        if self._slabinfo.why_not:
            reasons["health.ledger_residual"] = reasons["slabs"] = self._slabinfo.why_not
        if self._slabinfo.why_no_merges:
            reasons["slabs.merged_with"] = self._slabinfo.why_no_merges
        if not self._maps.has_census:
            why = self.session.refused.get("census", {}).get("iter", "not attached")
            reasons["census"] = f"iter: {why}"
        elif census_shed:
            reasons["census"] = self._own.why_no_census
            reasons["processes.vmas"] = f"{self._own.why_no_census}; the processes are those of the last census"
        elif not self._sees_all:
            reasons["census"] = sight.NO_SUMS
            if outside := self._processes.outside:
                reasons["processes.vmas"] = (
                    f"{outside} {plural(outside, 'process', 'processes')} outside this pid namespace: {sight.OUTSIDE}"
                )
        if why_no_lives := reasons.get("totals.ends"):
            reasons["programs"] = reasons["slow_forks"] = why_no_lives
        if not self._waits_known:
            why_no_waits = reasons["totals.lock_waits"]
            reasons["families"] = reasons["slow_forks.lock_waits"] = reasons["slow_forks.lock_seconds"] = why_no_waits
        if why_no_part := reasons.get("histograms.fork_seconds"):
            reasons["slow_forks.anon_seconds"] = why_no_part
        if why_no_tables := reasons.get("histograms.fork_page_table_seconds"):
            reasons["slow_forks.page_table_seconds"] = why_no_tables
        if why_no_rest := why_no_part or why_no_tables:
            reasons["slow_forks.rest_seconds"] = why_no_rest
        if self._no_command:
            reasons["command"] = self._no_command
        if not self._args:
            reasons["processes.args"] = NO_ARGS
        for name in CENSUS_NAMES:
            if name in self.session.unknown:
                reasons[f"census.{name}"] = reasons[f"processes.{name}"] = self.session.unknown[name]
        return reasons | self._failed

    def _need(self, feature: str) -> None:
        if why := self.why_not(feature):
            raise NotSupported(f"reading {feature}", why, "run lazyobs doctor for more")

    def vmas(self, pid: int) -> list[VmaRow]:
        self._need(features.VMAS)
        return self._maps.vmas(pid)

    def programs(self) -> list[ProgramRuns]:
        return self._maps.programs()

    def account(self) -> Account:
        self._need(features.ACCOUNT)
        return self._maps.account()

    def held(self) -> Held:
        self._need(features.HELD)
        return self._maps.held()

    def judge(self, barrier: LedgerReading) -> int | None:
        return self._ledger.judge(barrier)

    def events(self) -> EventStream:
        if self._stream is None:
            raise NotSupported("reading events", NO_STREAM, "open the source with events")
        return self._stream

    def trace(self, wanted: EventFilter, splats: bool, symbols: Symbols | None = None) -> LiveTrace:
        stream = self.events()
        stream.begin(replace(wanted, stacks=symbols is not None))
        stacks = None if symbols is None else (StackMap(self.session.maps[STACKS]), symbols)
        return LiveTrace(stream, self._splats if splats else None, stacks)

    def close(self) -> None:
        log = self._splats.log if self._splats is not None else None
        for part in (self._stream, log, self._maps, self.session, self._slabinfo):
            if part is not None:
                part.close()
