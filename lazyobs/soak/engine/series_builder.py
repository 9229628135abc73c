# SPDX-License-Identifier: MIT
"""A Series out of the answers to the queries, and out of what is small enough to be read row by row."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lazyobs.bpf import event
from lazyobs.kernel.command_line import without_secrets
from lazyobs.kernel.slab import CACHES
from lazyobs.model import CENSUS_NAMES, COUNTER_NAMES, HEALTH_NAMES, Process, Sample
from lazyobs.recording.errors import RecordingError
from lazyobs.recording.reader import Recording
from lazyobs.recording.samples import read_sample
from lazyobs.soak.engine import queries
from lazyobs.soak.engine.views import Views
from lazyobs.soak.series import Column, Distribution, Events, Mark, Series, Table
from lazyobs.text import printable

MOST_ROWS = 3000  # of a table of a series
_LATE = 20  # part of the samples at the end: what is held is compared at that of them where most is
_STEPS = 9  # that progress is told of


def make_series(recording: Recording, views: Views, progress: Callable[[float], None], warm_up: float) -> Series:
    """RecordingError when the recording holds no sample, or more than one recording's."""
    done = 0

    def run(query: Callable[..., Any], *given: Any) -> pa.Table:
        nonlocal done
        rows = views.run(query, *given)
        done += 1
        progress(done / _STEPS)
        return rows

    count, first, last = _extent(recording, run(queries.extent, "samples"))
    step = max(1, -(-(last - first) // (MOST_ROWS - 1)))
    rows = run(queries.samples, "samples", first, step)
    numbers, stamps = rows["number"].to_numpy(), rows["stamp"].to_numpy()
    _look_at(recording, rows)
    clock = _Clock(rows)
    samples = _samples(rows, clock)
    warm = int(np.searchsorted(samples["time"], samples["time"][0] + warm_up))
    warm = min(warm, len(numbers) - 1)
    processes = run(queries.processes, "processes")
    samples["processes"] = _processes(processes, numbers, first, step)
    late = _latest_peak(samples["chains_held"], numbers)
    early = int(numbers[warm if 2 * warm < len(numbers) else 0])  # a short recording is growth from its beginning on
    held = _holders(run(queries.holders, "processes", early, late), early)
    system = run(queries.system, "system", "samples", first, step)
    barriers = _barriers(run(queries.barriers, "slabs", "samples"), processes, clock)
    found = run(queries.events, "events", int(stamps[warm]), int(stamps[-1]))
    wanted = (first, int(numbers[warm]), last)
    documents = _documents(recording, run(queries.documents, "samples", *wanted))
    one, begin, end = (documents[number] for number in wanted)
    marks, splats = _marks(recording, clock)
    progress(1.0)
    return Series(
        name=printable(os.path.basename(os.path.normpath(recording.path))),
        identity=without_secrets(recording.identity),
        interval=recording.interval,
        samples=samples,
        barriers=barriers,
        system=_system(system, clock),
        marks=marks,
        splats=splats,
        distributions=_distributions(begin, end),
        object_bytes={slab.cache: slab.object_bytes for slab in end.slabs if slab.object_bytes is not None},
        first=_facts(one),
        last=_facts(end),
        warm=_facts(begin),
        events=_events(found),
        torn=tuple(sorted(recording.torn)),
        damage=tuple(str(found) for _, found in sorted(recording.damage.items())),
        events_lost=_events_lost(recording),
        checksummed=recording.checksummed,
        count=count,
        cmdline=_cmdline(recording),
        holders=held,
        held_for=float(np.ptp(samples["time"][np.searchsorted(numbers, (early, late))])),
    )


class _Clock:
    """Unix time as the clock showed it at the first sample, and went on from there: CLOCK_BOOTTIME, of which stamps are,
    is never set."""

    def __init__(self, samples: pa.Table) -> None:
        self._time, self._stamp = float(samples["time"][0].as_py()), int(samples["stamp"][0].as_py())

    def times(self, stamps: pa.ChunkedArray) -> Column:
        found: Column = self._time + (_floats(stamps) - float(self._stamp)) / 1e9  # integers could overflow
        return found

    def mark(self, row: Mapping[str, Any], kind: str, value: float | None) -> Mark:
        """Of a row without a stamp, as kernel_log had none once, by the clock's time; of one that has lost both, at the
        beginning, for what it says counts."""
        time, stamp = row["time"], row.get("stamp")
        if stamp is not None:
            time = self._time + (stamp - self._stamp) / 1e9
        return Mark(self._time if time is None else time, kind, value, row["text"] or "")


def _latest_peak(held: Column, numbers: npt.NDArray[np.int64]) -> int:
    """Number of the sample at which most is held, of the last ones: the recorded command may have ended before the
    recording did."""
    tail = held[-max(len(held) // _LATE, 3) :]
    if not np.isfinite(tail).any():
        return int(numbers[-1])
    return int(numbers[len(held) - len(tail) + int(np.nanargmax(tail))])


def _holders(rows: pa.Table, first: int) -> tuple[list[Process], list[Process]]:
    """Processes of the two samples; with what VMAs hold, and counts, and nothing else."""
    found: tuple[list[Process], list[Process]] = ([], [])
    for row in rows.to_pylist():
        if row["pid"] is not None and row["comm"] is not None:
            row["user"] = ""
            found[row["number"] != first].append(Process.from_json(row))
    return found


def _cmdline(recording: Recording) -> str | None:
    found = recording.identity.get("cmdline")
    return found if isinstance(found, str) else None


def _events_lost(recording: Recording) -> float:
    """Rows of the table events that damage has taken; NaN where it is not known how many."""
    found = [damage for name, damage in recording.damage.items() if name.startswith("events-")]
    return float(sum(damage.rows if damage.certain else np.nan for damage in found))


def _extent(recording: Recording, rows: pa.Table) -> tuple[int, int, int]:
    """How many samples there are, the numbers of the first and the last."""
    found = rows.to_pylist()[0]
    if not found["rows"]:
        raise RecordingError(recording.path, "holds no sample", "record for longer than one interval")
    if found["numbers"] != found["rows"]:
        raise RecordingError(
            recording.path,
            f"is a mixture: {found['rows']} samples have {found['numbers']} numbers",
            "keep the files of each recording in a directory of its own",
        )
    return found["rows"], found["first"], found["last"]


def _look_at(recording: Recording, rows: pa.Table) -> None:
    """A later sample has a later stamp: CLOCK_BOOTTIME is never set, and begins anew with another boot."""
    stamps = rows["stamp"]
    if stamps.null_count or rows["time"].null_count or not bool(np.all(np.diff(stamps.to_numpy()) > 0)):
        raise RecordingError(
            recording.path,
            "is a mixture: its samples are not in the order of their stamps",
            "keep the files of each recording in a directory of its own",
        )


def _floats(column: pa.ChunkedArray) -> Column:
    """NaN where null."""
    array: Column = pc.cast(column, pa.float64(), safe=False).to_numpy().astype("f8")
    return array


def _samples(rows: pa.Table, clock: _Clock) -> Table:
    found = {"time": clock.times(rows["stamp"]), "elapsed": _floats(rows["elapsed_ns"]) / 1e9}
    for name in (*COUNTER_NAMES, *(f"health_{name}" for name in HEALTH_NAMES)):
        found[name] = _floats(rows[name])
    for name in CENSUS_NAMES:
        counts = _floats(rows[f"{name}_count"])
        counts[counts == 0] = np.nan
        found[name] = _floats(rows[f"{name}_sum"]) / counts
    return found


def _processes(rows: pa.Table, numbers: npt.NDArray[np.int64], first: int, step: int) -> Column:
    """Mean number of processes in the bins that end with ``numbers``; NaN where a sample has none."""
    bins = (rows["number"].to_numpy() - first + step - 1) // step
    places = np.searchsorted((numbers - first + step - 1) // step, bins)
    known = places < len(numbers)
    total = np.bincount(places[known], rows["processes"].to_numpy()[known], len(numbers))
    count = np.bincount(places[known], minlength=len(numbers)).astype("f8")
    count[count == 0] = np.nan
    mean: Column = total / count
    return mean


def _system(rows: pa.Table, clock: _Clock) -> Table:
    found = {name: _floats(rows[name]) for name in rows.column_names if name not in ("number", "time", "stamp")}
    return {"time": clock.times(rows["stamp"]), **found}


def _barriers(rows: pa.Table, processes: pa.Table, clock: _Clock) -> Table:
    orphans = (f"{cache}_{name}" for cache in queries.ORPHANS_OF for name in ("orphans", "orphans_spread"))
    found = {name: _floats(rows[name]) for name in ("vmas", *orphans)}
    found["time"] = clock.times(rows["stamp"]) + _floats(rows["time"]) - _floats(rows["sampled"])
    numbers, counted = rows["number"].to_numpy(), processes["number"].to_numpy()
    places = np.minimum(np.searchsorted(counted, numbers), max(len(counted) - 1, 0))
    found["processes"] = np.full(len(numbers), np.nan)
    if len(counted):
        there = counted[places] == numbers
        found["processes"][there] = processes["processes"].to_numpy()[places[there]]
    return found | {cache: _floats(rows[cache]) for cache in CACHES}


def _documents(recording: Recording, rows: pa.Table) -> dict[int, Sample]:
    found = {}
    for number, document in zip(rows["number"].to_pylist(), rows["document"].to_pylist()):
        try:
            found[number] = read_sample(document, [])
        except (ValueError, TypeError, RecursionError) as error:
            raise recording.damaged(f"sample {number}", error) from None
    return found


def _facts(sample: Sample) -> dict[str, Any]:
    return {
        "kernel": vars(sample.kernel),
        "totals": sample.totals,
        "tiers": sample.tiers,
        "null_reasons": sample.null_reasons,
    }


def _distributions(begin: Sample, end: Sample) -> dict[str, Distribution]:
    """What each histogram grew by; one that either sample does not have is left out."""
    found = {}
    for name, after in end.histograms.items():
        before = begin.histograms.get(name)
        if after is None or before is None:
            continue
        bounds = [np.inf if bound is None else bound for bound, _ in after["buckets"]]
        if bounds != [np.inf if bound is None else bound for bound, _ in before["buckets"]]:
            continue
        grown = np.array([count for _, count in after["buckets"]], "f8") - [count for _, count in before["buckets"]]
        found[name] = Distribution(np.array(bounds), np.diff(grown, prepend=0.0), after["sum"] - before["sum"])
    return found


def _events(rows: pa.Table) -> dict[str, Events]:
    """By kind, and by kind and detail where the kind has details."""
    kinds, details = rows["kind"].to_numpy(), rows["detail"].to_numpy()
    found: dict[str, Events] = {}
    for position, kind in enumerate(event.KINDS):
        of_kind = kinds == position
        if of_kind.any():
            found[kind.name] = _counted(rows.filter(of_kind))
        for place, detail in enumerate(kind.details):
            if (of_kind & (details == place)).any():
                found[f"{kind.name}{{{detail}}}"] = _counted(rows.filter(of_kind & (details == place)))
    return found


def _counted(rows: pa.Table) -> Events:
    count = int(pc.sum(rows["count"]).as_py())
    known = rows.filter(pc.is_valid(rows["upper"]))
    if not len(known):
        return Events(count, Distribution(np.array([np.inf]), np.array([0.0]), 0.0), float("nan"))
    bounds, places = np.unique(known["upper"].to_numpy(), return_inverse=True)
    counts = np.bincount(places, known["count"].to_numpy())
    distribution = Distribution(
        np.append(bounds / 1e9, np.inf), np.append(counts, 0.0), int(pc.sum(known["sum"]).as_py()) / 1e9
    )
    return Events(count, distribution, int(pc.max(known["longest"]).as_py()) / 1e9)


def _marks(recording: Recording, clock: _Clock) -> tuple[list[Mark], list[Mark]]:
    """What happened to the recording, and what began in the kernel's log."""
    marks = [clock.mark(row, row["kind"], row["value"]) for row in recording.rows("marks")]
    splats = [clock.mark(row, row["kind"], None) for row in recording.rows("kernel_log") if row.get("kind")]
    return marks, splats
