# SPDX-License-Identifier: MIT
"""A sample is of one instant, and a process keeps its name to the last sample."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lazyobs.bpf.census import CensusRow
from lazyobs.bpf.maps import ProcessCounts
from lazyobs.model import COUNTER_NAMES
from lazyobs.sources.cgroups import KernelCgroups
from lazyobs.sources.live_processes import LiveProcesses


def test_time_and_elapsed_are_of_the_same_instant(live, monkeypatch: pytest.MonkeyPatch) -> None:
    source = live()
    source.read()
    read = source._slabinfo.read

    def slow() -> Any:
        time.sleep(0.3)  # as where the machine is loaded
        return read()

    monkeypatch.setattr(source._slabinfo, "read", slow)
    first = source.read()
    monkeypatch.undo()
    second = source.read()
    assert second.elapsed >= 0.3
    assert second.time - first.time == pytest.approx(second.elapsed, abs=0.02)


class _Table:
    """Counters that are all known."""

    def of_process(self, counts: tuple[int, ...] | None) -> dict[str, int | None]:
        return dict.fromkeys(COUNTER_NAMES, sum(counts or ()))


class _Columns:
    changes = 0

    def of_process(self, row: CensusRow, counts: tuple[int, ...] | None) -> dict[str, int | None]:
        return {}

    def of_none(self) -> dict[str, int | None]:
        return {}


def _row(comm: bytes) -> CensusRow:
    values = dict.fromkeys(CensusRow._fields, 0) | {"tgid": 211, "start_boottime": 23, "ppid": 101, "comm": comm}
    return CensusRow(**values)  # type: ignore[arg-type]


def _counts(comm: bytes, count: int) -> ProcessCounts:
    return ProcessCounts(tgid=211, start_boottime=23, uid=0, comm=comm, counts=(count,))


def test_a_process_keeps_its_name_to_the_last_sample() -> None:
    """Its entry in the map has the name of when it was first counted: that of the program that forked it."""
    table: Any = _Table()
    columns: Any = _Columns()

    def new() -> LiveProcesses:
        return LiveProcesses(table, columns, rates=True, cgroups=KernelCgroups(dict), sees_all=True)

    processes = new()
    (process,) = processes.read([_row(b"worker")], [_counts(b"sh", 3)], 1.0)
    assert process.comm == "worker"
    for count in (5, 7):  # it has given up its mm and is not gone yet
        (process,) = processes.read([], [_counts(b"sh", count)], 1.0)
        assert (process.comm, process.ppid) == ("worker", 101)
    (process,) = new().read([], [_counts(b"sh", 3)], 1.0)
    assert process.comm == "sh", "nothing else is known"
