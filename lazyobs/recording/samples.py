# SPDX-License-Identifier: MIT
"""Converts samples to table rows and back, without loss.

The document (a sample's JSON without its processes) is kept as text, so that replay shows exactly what was recorded;
processes, by far the larger part, are columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lazyobs.model import CENSUS_NAMES, COUNTER_NAMES, HEALTH_NAMES, PROCESS_COLUMNS, Process, Sample, Slab
from lazyobs.recording import limits
from lazyobs.recording.layout import ORPHANS

if TYPE_CHECKING:
    from lazyobs.recording.arrow import pa

Columns = dict[str, Any]  # lists, see recording/encoder.py


def sample_row(number: int, stamp: int, sample: Sample) -> Columns:
    """One row of the table samples; ``stamp`` is CLOCK_BOOTTIME in ns."""
    row: dict[str, Any] = {
        "number": number,
        "time": sample.time,
        "elapsed": sample.elapsed,
        "stamp": stamp,
        "document": json.dumps(sample.as_json_but_processes(), separators=(",", ":"), allow_nan=False),
    }
    row.update((name, sample.totals.get(name)) for name in COUNTER_NAMES)
    row.update((name, sample.census.get(name)) for name in CENSUS_NAMES)
    row.update(("health_" + name, sample.health.get(name)) for name in HEALTH_NAMES)
    row["processes"] = len(sample.processes)
    return {name: [value] for name, value in row.items()}


def process_rows(number: int, processes: list[Process]) -> Columns:
    """Rows of the table processes, in the sample's order."""
    columns: Columns = {"number": [number] * len(processes)}
    for name in ("pid", "start_time"):
        columns[name] = [getattr(process, name) for process in processes]
    for name in ("user", "comm", "cgroup"):
        columns[name] = [_text(getattr(process, name)) for process in processes]
    columns["ppid"] = [process.ppid for process in processes]
    for name in CENSUS_NAMES:
        columns[name] = [process.census.get(name) for process in processes]
    for name in COUNTER_NAMES:
        columns[name] = [process.counts.get(name) for process in processes]
        columns[name + "_rate"] = [process.rates.get(name) for process in processes]
    return columns


def system_row(number: int, time: float, names: Sequence[str], values: Sequence[int | None]) -> Columns:
    """One row of the table system."""
    return {"number": [number], "time": [time], **{name: [value] for name, value in zip(names, values)}}


def slab_rows(
    number: int, time: float, slabs: Iterable[Slab], barrier: bool, more: Mapping[str, Mapping[str, Any]] | None = None
) -> Columns:
    """Rows of the table slabs. ``more``: {cache: {column of ORPHANS: value}}; a column that is left out is null."""
    rows = list(slabs)
    return {
        "number": [number] * len(rows),
        "time": [time] * len(rows),
        "cache": [slab.cache for slab in rows],
        "objects_active": [slab.objects_active for slab in rows],
        "objects": [slab.objects for slab in rows],
        "object_bytes": [slab.object_bytes for slab in rows],
        "merged_with": [" ".join(slab.merged_with) for slab in rows],
        "barrier": [barrier] * len(rows),
        **{name: [(more or {}).get(slab.cache, {}).get(name) for slab in rows] for name, _ in ORPHANS},
    }


def _text(value: str | None) -> str | None:
    """Replaces bytes that are not valid Unicode (a user name in another encoding): Arrow cannot store them."""
    return value if value is None else value.encode("utf-8", "replace").decode("utf-8")


def read_processes(batch: pa.RecordBatch) -> list[tuple[int, Process]]:
    """[(number of the sample, process)] from rows of the table processes."""
    numbers = batch.column("number").to_pylist()
    names = [name for name in PROCESS_COLUMNS if name in batch.schema.names]
    columns = [batch.column(name).to_pylist() for name in names]
    return [(number, Process.from_json(dict(zip(names, values)))) for number, values in zip(numbers, zip(*columns))]


def read_sample(document: str, processes: list[Process]) -> Sample:
    """The sample of a row. ValueError when the text is not the document of a sample."""
    why = limits.too_large("a document", len(document), limits.DOCUMENT)
    if why:
        raise ValueError(why)
    sample = Sample.from_json(json.loads(document, parse_constant=refuse_constant))
    sample.processes = processes
    return sample


def refuse_constant(name: str) -> None:
    """For json.loads: rejects NaN and infinity, which Python accepts although they are not JSON."""
    raise ValueError(f"{name} is not JSON")
