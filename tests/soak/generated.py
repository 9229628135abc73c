# SPDX-License-Identifier: MIT
"""Big recordings out of numpy: the files that ``lazyobs record`` leaves, with as many samples and events as wanted.
They have no checksums, as those of earlier versions, so that tests can change them.

The same seed makes the same recording. Counters of forks and promotions are those of the events, and the documents of
the samples say what their columns say. Tables that a report hardly reads (processes, system) can be linked
from another recording: they are large, and alike for every seed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from lazyobs.bpf import event
from lazyobs.kernel.slab import CACHES
from lazyobs.model import CENSUS_NAMES, COUNTER_NAMES, HEALTH_NAMES
from lazyobs.recording.arrow_schema import schema
from lazyobs.recording.encoder import Packed
from lazyobs.recording.layout import DESCRIPTION, FORMAT, PARQUET, VERSION, SegmentFile
from tests.harness import ROOT
from tests.recording.made import event_rows
from tests.recording.samples import sample

BEGIN = 1_800_000_000
BOOT_OFFSET = 1_799_000_000 * 10**9  # unix time minus CLOCK_BOOTTIME, ns
BARRIER_SAMPLES = 60
SLOT = 20  # of the histograms that every fork and every promotion falls into
COUNTED = ("forks", "promotions", "promotions_failed")  # by kind of event, in the order of event.KINDS
_EXAMPLE = ROOT / "examples/debian-6.12/system-000001.parquet"
SYSTEM_COLUMNS = tuple(pq.read_schema(_EXAMPLE).names[2:])  # behind number and time: as many as a kernel has
_LARGE = ("processes", "system")
_BYTES_A_GROUP = 4 << 20  # as the recorder's own: what is larger in one piece is refused


@dataclass(frozen=True)
class Shape:
    """How big. Samples are ``seconds`` apart; every barrier is at a sample's number that BARRIER_SAMPLES divides. Half
    way the clock is set forward by ``clock_set`` seconds, and no mark says so."""

    samples: int = 86_400
    events: int = 1_000_000
    processes: int = 59
    segment_samples: int = 900
    seconds: int = 1
    clock_set: int = 0


def identity(seed: int) -> dict[str, Any]:
    """What recording.json says of the machine."""
    return {"release": "7.1.0", "boot_id": f"boot-{seed}", "profile": "lab", "lazy_enabled": True, "machine": "x86_64"}


def make(path: Path, seed: int, shape: Shape, link_from: Path | None = None) -> None:
    """Writes a recording to a new directory. ``link_from``: one of the same shape, for the large tables."""
    path.mkdir(parents=True)
    description = {"format": FORMAT, "version": VERSION, "interval": float(shape.seconds), "identity": identity(seed)}
    (path / DESCRIPTION).write_text(json.dumps(description))
    day = _Day(seed, shape)
    for number, first in enumerate(range(1, shape.samples + 1, shape.segment_samples), 1):
        last = min(first + shape.segment_samples - 1, shape.samples)
        for name, table in day.tables(first, last, large=link_from is None):
            file = path / SegmentFile(name, number, PARQUET).name
            group = max(1, len(table) * _BYTES_A_GROUP // max(table.nbytes, 1))
            pq.write_table(table, file, row_group_size=group, compression="zstd", store_schema=False, write_statistics=["number", "time", "stamp"])  # fmt: skip
        for name in _LARGE if link_from is not None else ():
            linked = SegmentFile(name, number, PARQUET).name
            os.link(link_from / linked, path / linked)


def events(seed: int, shape: Shape) -> npt.NDArray[Any]:
    """All events of the recording in the order of their stamps."""
    chance = np.random.default_rng([seed, 1])
    count = shape.events
    process = chance.integers(0, 211, count)
    found = np.zeros(count, event.dtype())
    first = BEGIN * 10**9 - BOOT_OFFSET
    found["stamp"] = np.sort(chance.integers(first, first + shape.samples * shape.seconds * 10**9, count))
    found["start"] = process.astype("u8") * 7_919_000_003
    found["tgid"] = found["tid"] = process * 3 + 1000
    found["address"] = chance.integers(0x7F00_0000_0, 0x7FFF_FFFF_F, count).astype("u8") << np.uint64(12)
    found["duration"] = np.exp(chance.normal(8, 1, count)).astype("u4")
    found["duration"][chance.integers(0, 101, count) == 0] = event.UNKNOWN
    found["pages"] = chance.integers(1, 1024, count)
    found["objects"] = np.exp(chance.normal(2, 1, count)).astype("u4")
    found["cpu"] = chance.integers(0, 8, count)
    found["kind"] = chance.choice(4, count, p=(0.5, 0.3, 0.05, 0.15))
    found["detail"] = np.where(found["kind"] == 0, 0, chance.integers(0, 8, count))
    found["comm"] = np.array([f"process-{number}".encode() for number in range(211)], "S16")[process]
    return found


class _Day:
    """The whole recording as arrays by sample; rows of a segment are cut out of them."""

    def __init__(self, seed: int, shape: Shape) -> None:
        self.shape = shape
        chance = np.random.default_rng([seed, 2])
        count = shape.samples
        self.number = np.arange(1, count + 1)
        self.time = BEGIN + self.number * shape.seconds + chance.integers(0, 1000, count) / 1e6
        self.stamp = np.rint(self.time * 1e6).astype("i8") * 1000 - BOOT_OFFSET
        self.elapsed = np.diff(self.time, prepend=BEGIN).round(6)
        self.time[count // 2 :] += shape.clock_set
        self.events = events(seed, shape)
        self.counters: dict[str, npt.NDArray[Any]] = {}
        for name in COUNTER_NAMES:
            if name in COUNTED:
                stamps = self.events["stamp"][self.events["kind"] == COUNTED.index(name)]
                self.counters[name] = np.searchsorted(stamps, self.stamp, side="right")
            else:
                self.counters[name] = np.cumsum(chance.poisson(23, count))
        self.census = {name: 100_003 + np.cumsum(chance.integers(-5, 6, count)) for name in CENSUS_NAMES}
        self.active = {cache: 211 + chance.integers(0, 101, count) for cache in CACHES}
        self._document, self._tail = _document_parts()
        self._chance = chance

    def tables(self, first: int, last: int, large: bool) -> Iterator[tuple[str, pa.Table]]:
        """(name, rows) of samples ``first`` to ``last``."""
        rows = slice(first - 1, last)
        begin = 0 if first == 1 else np.searchsorted(self.events["stamp"], self.stamp[first - 2], side="right")
        end = np.searchsorted(self.events["stamp"], self.stamp[last - 1], side="right")
        end = len(self.events) if last == self.shape.samples else end
        if end > begin:
            yield "events", _table("events", event_rows(self.events[begin:end], BOOT_OFFSET))
        yield "slabs", self._slabs(rows)
        yield "samples", self._samples(rows)
        if last == self.shape.samples:
            end_mark = {"time": [self.time[-1]], "stamp": [self.stamp[-1]], "kind": ["end"], "text": ["ended"]}
            yield "marks", _table("marks", {**end_mark, "value": pa.nulls(1, pa.float64())})
        if large:
            yield "processes", self._processes(rows)
            yield "system", self._system(rows)

    def _samples(self, rows: slice) -> pa.Table:
        counters = [self.counters[name][rows].tolist() for name in COUNTER_NAMES]
        times, elapsed = self.time[rows].tolist(), self.elapsed[rows].tolist()
        forks, promotions = self.counters["forks"][rows].tolist(), self.counters["promotions"][rows].tolist()
        columns: dict[str, Any] = {
            "number": self.number[rows],
            "time": self.time[rows],
            "elapsed": self.elapsed[rows],
            "stamp": self.stamp[rows],
            "document": [
                self._document % (time, since, *counts)
                + self._tail.replace('"@forks@"', str(fork)).replace('"@promotions@"', str(promotion))
                for time, since, fork, promotion, *counts in zip(times, elapsed, forks, promotions, *counters)
            ],
            **{name: values[rows] for name, values in (*self.counters.items(), *self.census.items())},
            **{f"health_{name}": np.zeros(len(times)) for name in HEALTH_NAMES},
        }
        return _table("samples", columns)

    def _slabs(self, rows: slice) -> pa.Table:
        numbers = self.number[rows]
        barriers = numbers[numbers % BARRIER_SAMPLES == 0]
        every = np.concatenate([np.repeat(numbers, len(CACHES)), np.repeat(barriers, len(CACHES))])
        caches = np.tile(np.arange(len(CACHES)), len(numbers) + len(barriers))
        barrier = np.arange(len(every)) >= len(numbers) * len(CACHES)
        active = np.stack([self.active[cache] for cache in CACHES])[caches, every - 1] + np.where(barrier, 0, 101)
        order = np.argsort(every, kind="stable")
        columns = {
            "number": every[order],
            "time": self.time[every[order] - 1] + np.where(barrier[order], 0.01, 0.0),
            "cache": np.array(CACHES)[caches[order]],
            "objects_active": active[order],
            "objects": active[order] + 23,
            "object_bytes": np.array([104, 64, 176])[caches[order]],
            "merged_with": np.array(["", "eventpoll_pwq fs_cache", ""])[caches[order]],
            "barrier": barrier[order],
            "orphans": pa.array(active[order] % 53, mask=~barrier[order] | (caches[order] == 2)),
            "orphans_spread": pa.array(active[order] % 11, mask=~barrier[order] | (caches[order] > 0)),
        }
        return _table("slabs", columns)

    def _processes(self, rows: slice) -> pa.Table:
        numbers, each = self.number[rows], self.shape.processes
        pids = np.tile(np.arange(each) * 3 + 2, len(numbers))
        columns: dict[str, Any] = {
            "number": np.repeat(numbers, each),
            "pid": pids,
            "start_time": BEGIN - pids / 7,
            "user": pa.repeat(pa.scalar("nobody"), len(pids)),
            "comm": pa.repeat(pa.scalar("worker"), len(pids)),
            "cgroup": pa.repeat(pa.scalar("/system.slice/worker.service"), len(pids)),
            "ppid": pa.repeat(pa.scalar(1), len(pids)),
        }
        for name in CENSUS_NAMES:
            columns[name] = pids * 7
        for name in COUNTER_NAMES:
            columns[name] = np.repeat(numbers, each) + pids
            columns[name + "_rate"] = np.ones(len(pids))
        return _table("processes", columns)

    def _system(self, rows: slice) -> pa.Table:
        numbers = self.number[rows]
        steps = self._chance.integers(0, 101, (len(SYSTEM_COLUMNS), len(numbers)))
        columns = {name: numbers * 1009 + step for name, step in zip(SYSTEM_COLUMNS, steps)}
        return _table("system", {"number": numbers, "time": self.time[rows], **columns})


def _table(name: str, columns: dict[str, Any]) -> pa.Table:
    wanted = schema(name, SYSTEM_COLUMNS)
    first = next(iter(columns.values()))
    missing = pa.nulls(first.rows if isinstance(first, Packed) else len(first))
    return pa.table([_array(columns.get(field.name, missing), field.type) for field in wanted], schema=wanted)


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, Packed):
        return pa.Array.from_buffers(kind, values.rows, [None, pa.py_buffer(values.raw)])
    return pa.array(values, kind)


def _document_parts() -> tuple[str, str]:
    """The front of a sample's document, to be given time, elapsed and the counters, and the rest of it."""
    one = sample(1, 0)
    for name in ("fork_seconds", "promotion_seconds"):
        count = f"@{name.removesuffix('_seconds')}s@"
        bounds = [2**slot / 1e9 for slot in range(39)]
        buckets = [[bound, 0 if slot < SLOT else count] for slot, bound in enumerate(bounds)]
        one.histograms[name] = {"buckets": [*buckets, [None, count]], "sum": 0.5, "count": count}
    document = one.as_json_but_processes()
    totals = json.dumps(document["totals"], separators=(",", ":"))
    for name in COUNTER_NAMES:
        totals = totals.replace(f'"{name}":{one.totals[name]}', f'"{name}":%d', 1)
    rest = {name: part for name, part in document.items() if name not in ("time", "elapsed", "totals")}
    return '{"time":%r,"elapsed":%r,"totals":' + totals, "," + json.dumps(rest, separators=(",", ":"))[1:]
