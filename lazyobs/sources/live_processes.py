# SPDX-License-Identifier: MIT
"""The processes of a sample, built from the census and the counts in the maps.

Most processes are idle most of the time. A process that did not change for two samples is not rebuilt: the new sample
reuses its object, so a screen of 500 processes costs only what the busy processes cost.
"""

from __future__ import annotations

from typing import NamedTuple

from lazyobs.bpf.census import CensusRow
from lazyobs.bpf.maps import ProcessCounts
from lazyobs.kernel import arguments
from lazyobs.kernel.boot import boot_offset
from lazyobs.model import CENSUS_NAMES, COUNTER_NAMES, Process, rate
from lazyobs.sources.census_columns import CensusColumns, Columns
from lazyobs.sources.cgroups import KernelCgroups
from lazyobs.sources.counters import CounterTable
from lazyobs.text import c_string
from lazyobs.unix.users import user_name

_Identity = tuple[int, int]  # tgid, start_boottime in ns


class _Seen(NamedTuple):
    """A process in the last sample and its inputs. ``idle``: its counts had not changed since the previous sample, so
    its rates are zero, and stay zero while ``row`` and ``counts`` do not change. A process that has just begun may exec:
    its command line is read a second time."""

    row: CensusRow | None
    counts: tuple[int, ...] | None
    process: Process
    idle: bool
    settled: bool = False  # its command line was read when it was there before, by the same name


class LiveProcesses:
    """Keeps the last sample's processes by identity, to compute rates."""

    def __init__(
        self,
        table: CounterTable,
        columns: CensusColumns,
        rates: bool,
        cgroups: KernelCgroups,
        sees_all: bool,
        args: bool = False,
    ) -> None:
        """Without ``rates`` the processes have no rates, which is cheaper. ``sees_all``: whether the census covers every
        process that is counted. ``args``: whether they have command lines."""
        self._table, self._columns, self._rates = table, columns, rates
        self._cgroups, self._sees_all, self._with_args = cgroups, sees_all, args
        self.boot_offset = boot_offset()
        self._before: dict[_Identity, _Seen] = {}
        self._elapsed = 0.0
        self._changes, self._left_out = columns.changes, False
        self.outside = 0

    def read(
        self,
        census: list[CensusRow] | None,
        counted: list[ProcessCounts] | None,
        elapsed: float,
        left_out: bool = False,
    ) -> list[Process]:
        """Each process once; ``outside`` is how many of them the census may not cover.

        ``census`` and ``counted`` are None where they could not be read; ``elapsed`` is the
        time since the last call in seconds. Where a census was ``left_out``, the processes are those of the last one and
        those that are counted, and what a census says of them is None."""
        self._elapsed = elapsed
        same = self._changes == self._columns.changes and self._left_out == left_out
        self._changes, self._left_out = self._columns.changes, left_out
        if left_out:
            census = [seen.row for seen in self._before.values() if seen.row is not None]
        self._cgroups.begin()
        self.outside = 0
        entries = {(entry.tgid, entry.start_boottime): entry for entry in counted or ()}
        seen: dict[_Identity, _Seen] = {}
        for row in census or ():
            identity = (row.tgid, row.start_boottime)
            entry = entries.pop(identity, None)
            counts = entry.counts if entry else None
            before = self._before.get(identity)
            if (
                same
                and before
                and before.idle
                and before.row == row
                and before.counts == counts
                and counted is not None
            ):
                seen[identity] = before
            else:
                seen[identity] = self._of_row(row, counts, before, counted is not None)
        known = census is not None and self._sees_all and not left_out
        self.outside = 0 if self._sees_all else len(entries)
        for identity, entry in entries.items():
            seen[identity] = self._without_vmas(entry, self._before.get(identity), known)
        self._before = seen
        return [one.process for one in seen.values()]

    def _of_row(
        self, row: CensusRow, counts: tuple[int, ...] | None, before: _Seen | None, counts_known: bool
    ) -> _Seen:
        # Zeros for a process that has no entry, None where the entries could not be read.
        known = self._table.of_process(counts) if counts_known else dict.fromkeys(COUNTER_NAMES)
        idle = counts_known and before is not None and before.process.counts == known
        columns: Columns = dict.fromkeys(CENSUS_NAMES)
        if not self._left_out:
            columns = self._columns.of_process(row, counts)
        process = self._process(row, columns, known, before)
        process.cgroup, process.ppid = self._cgroups.path(row.cgroup), row.ppid
        if not self._with_args:
            return _Seen(row, counts, process, idle)
        same_name = before is not None and before.row is not None and before.row.comm == row.comm
        if before is not None and before.settled and same_name:
            process.args = before.process.args
        else:
            process.args = arguments.read(row.tgid)
        settled = same_name and process.args is not None
        return _Seen(row, counts, process, idle and settled, settled)

    def _without_vmas(self, entry: ProcessCounts, before: _Seen | None, census_known: bool) -> _Seen:
        """A kernel thread (kswapd, ksmd, khugepaged), or a process that has just started or ended: without VMAs, where
        the census covers every process. Where it does not, its VMAs are not known."""
        columns: Columns = self._columns.of_none() if census_known else dict.fromkeys(CENSUS_NAMES)
        process = self._process(entry, columns, self._table.of_process(entry.counts), before)
        if before is not None:
            # The entry has the name of when the process was first counted: before its exec, or before it was renamed.
            last = before.process
            process.comm, process.cgroup, process.ppid = last.comm, last.cgroup, last.ppid
            process.args = last.args
        return _Seen(None, entry.counts, process, False)

    def _process(
        self, task: CensusRow | ProcessCounts, columns: Columns, counts: dict[str, int | None], before: _Seen | None
    ) -> Process:
        """The counts do not give the cgroup and the parent: None."""
        return Process(
            pid=task.tgid,
            start_time=round(self.boot_offset + task.start_boottime / 1e9, 2),
            user=user_name(task.uid),
            comm=c_string(task.comm),
            cgroup=None,
            census=columns,
            counts=counts,
            rates=self._rates_of(counts, before) if self._rates else {},
        )

    def _rates_of(self, counts: dict[str, int | None], before: _Seen | None) -> dict[str, float | None]:
        """Rates of a process. A new process started from zero; without a previous sample there are no rates."""
        old = before.process.counts if before else dict.fromkeys(counts, 0) if self._before else {}
        return {name: rate(count, old.get(name), self._elapsed) for name, count in counts.items()}
