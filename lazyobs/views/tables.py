# SPDX-License-Identifier: MIT
"""A sample as text tables: the header of every top screen, and the views below it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lazyobs import text
from lazyobs.model import HOLD_PATHS, LOCK_PATHS, REASONS, WALKERS, Family, Process, Sample, points_by_tier
from lazyobs.sources import budget
from lazyobs.views import columns, family_cells
from lazyobs.views.live_table import LiveTables

# Caches whose objects the probes count: {cache: the counters of its allocations and frees}.
_OBJECTS_OF = {"anon_vma": ("anon_vma_allocs", "anon_vma_frees"), "anon_vma_chain": ("chain_allocs", "chain_frees")}


def _gained(sample: Sample, cache: str) -> int | None:
    """Allocations less frees since the start: exact, where slabinfo counts free objects in sheaves, too."""
    made, freed = (sample.totals.get(name) for name in _OBJECTS_OF.get(cache, ("", "")))
    return None if made is None or freed is None else int(made) - int(freed)


_COUNTED = (
    ("prepares", "prepares"),
    ("anon_vma_allocs", "anon_vma made"),
    ("anon_vma_frees", "freed"),
    ("chain_allocs", "chains made"),
    ("chain_frees", "freed"),
    ("forks", "forks"),
    ("fork_chains", "chains cloned"),
    ("promotions", "promotions"),
    ("rmap_walks", "rmap walks"),
)
_MOST_FAMILIES, _MOST_FORKS = 10, 5
_STATES = ("vmas", "vmas_anon", "vmas_lazy", "vmas_private", "vmas_shared")


def header(sample: Sample) -> list[str]:
    """Kernel, tiers, totals, savings, slabs and health: the lines above every view."""
    kernel, health, census = sample.kernel, sample.health, sample.census
    lazy = {True: "on", False: "off", None: "no switch"}[kernel.lazy_enabled]
    states = "  ".join(f"{name.removeprefix('vmas_')} {text.number(census[name])}" for name in _STATES[1:])
    return [
        f"lazyobs  kernel {text.printable(kernel.release)}  profile {text.printable(kernel.profile)}  lazy {lazy}",
        "tiers    "
        + text.printable(
            "  ".join(f"{tier}: {', '.join(points)}" for tier, points in points_by_tier(sample.tiers).items())
        ),
        "per s    " + _counted(sample.rates),
        "total    " + _counted(sample.totals),
        f"VMAs     {text.number(census['vmas'])}{_unread(sample)}  {states}"
        f"  saved {text.size(census['saved_bytes'])}  savable {columns.savable(census)}",
        "slabs    " + text.printable("  ".join(_slab(slab) for slab in sample.slabs)),
        f"health   lost {text.number(health['ring_lost'])}  map full {text.number(health['map_full'])}  "
        f"missed {text.number(health['recursion_misses'])}  probes missing {text.number(health['probes_missing'])}  "
        f"ledger {text.within(health['ledger_residual'], sample.ledger_error)}  violations {_violations(sample)}  own CPU {health['self_cpu_seconds']:.2f} s  "
        f"RSS {text.size(health['self_rss_bytes'])}",
        *_own_cost(sample),
    ]


def _own_cost(sample: Sample) -> Iterator[str]:
    """From the second sample on, where it is known; not of recordings that do not have it."""
    if words := budget.words(sample.health):
        yield f"cost     {words}"


def _violations(sample: Sample) -> str:
    """The number of violations, and the invariants they belong to."""
    divided = sample.totals.get("violations_by_invariant") or {}
    broken = [f"{name} {text.number(count)}" for name, count in divided.items() if count]
    return text.printable(text.number(sample.totals.get("violations")) + (f" ({', '.join(broken)})" if broken else ""))


def _unread(sample: Sample) -> str:
    """What the sum lacks."""
    why = sample.null_reasons.get("processes.vmas", "")
    return f" ({why})" if why and sample.census["vmas"] is not None else ""


def _counted(values: dict[str, Any]) -> str:
    return "  ".join(f"{label} {text.number(values.get(name))}" for name, label in _COUNTED)


def _slab(slab: Any) -> str:
    mark = f" (with {', '.join(slab.merged_with)})" if slab.merged_with else ""
    total = None if slab.objects_active is None else slab.objects_active * slab.object_bytes
    return f"{slab.cache} {text.at_most(slab.objects_active, slab.objects_free_at_most)} {text.size(total)}{mark}"


def _processes(rows: list[Process], names: Sequence[str], tables: LiveTables) -> str:
    return tables.table([columns.cells(process, names) for process in rows], columns.headings(names))


def view(sample: Sample, name: str, rows: list[Process], sort: str, tables: LiveTables) -> str:
    """A view of columns.VIEWS; ``rows`` are the processes to show, already sorted by ``sort`` and cut."""
    if name == "processes":
        return _processes(rows, columns.with_sorted(columns.PROCESS_VIEW, sort), tables)
    if name == "forks":
        shown = _processes(rows, columns.with_sorted(columns.FORK_VIEW, sort), tables)
        return f"{slow_forks(sample, tables)}\n\n{shown}" if sample.slow_forks else shown
    if name == "rmap":
        return _divided(tables, sample, "WALKER", WALKERS, ("rmap_walks_by_walker", "rmap_walk_vmas_by_walker"))
    if name == "promotions":
        return _divided(tables, sample, "REASON", REASONS, ("promotions_by_reason",))
    if name == "locks":
        waiting = columns.sort((row for row in rows if row.counts.get("lock_waits")), "lock_waited_ns")
        parts = [_locks(sample, tables), *_holds(sample, tables)]
        if sample.families:
            parts.append(_families(sample.families[:_MOST_FAMILIES], tables))
        if waiting:
            parts.append(_processes(waiting, columns.LOCK_VIEW, tables))
        return "\n\n".join(parts)
    if name == "slabs":
        return tables.table(
            [
                [s.cache, text.number(s.objects_active), text.number(s.objects_free_at_most), text.number(s.objects),
                 text.number(_gained(sample, s.cache)), text.number(s.object_bytes), ", ".join(s.merged_with) or "-"]
                for s in sample.slabs
            ],
            ["CACHE", "ACTIVE", "OF IT FREE <=", "OBJECTS", "GAINED", "BYTES EACH", "SHARES ITS ROW WITH"],
            left=1,
        )  # fmt: skip
    return tables.table(
        [[point, tier or "none"] for point, tier in sample.tiers.items()], ["PROBE POINT", "TIER"], left=1
    )


def _locks(sample: Sample, tables: LiveTables) -> str:
    counts, rates = sample.totals.get("lock_waits_by_path") or {}, sample.rates.get("lock_waits_by_path") or {}
    rows = []
    for path in LOCK_PATHS:
        waits = sample.histograms.get(f"lock_wait_seconds{{{path}}}")
        mean = waits["sum"] / waits["count"] if waits and waits["count"] else None
        rows.append(
            [path, text.number(counts.get(path)), text.number(rates.get(path)),
             text.seconds(waits["sum"] if waits else None), text.seconds(mean)]
        )  # fmt: skip
    return tables.table(rows, ["PATH", "WAITS", "WAITS/s", "TIME", "MEAN"], left=1)


def _holds(sample: Sample, tables: LiveTables) -> Iterator[str]:
    """Nothing where it is not known how long the lock was held."""
    found = {path: sample.histograms.get(f"lock_hold_seconds{{{path}}}") for path in HOLD_PATHS}
    rows = [
        [path, text.number(held["count"]), text.seconds(held["sum"]), text.seconds(held["sum"] / max(held["count"], 1))]
        for path, held in found.items()
        if held is not None
    ]
    if rows:
        yield tables.table(rows, ["PATH", "HELD", "TIME <=", "MEAN <="], left=1)


def _families(families: Sequence[Family], tables: LiveTables) -> str:
    return tables.table(
        [family_cells.cells(family) for family in families],
        ["FAMILY", "PID", "PROCESSES", "VMAS", "CHAINS", "WAITS", "WRITES", "TIME", "LONGEST", "COMMAND"],
    )


def slow_forks(sample: Sample, tables: LiveTables) -> str:
    """The slowest forks of the last minute."""
    rows = [
        [
            text.number(fork.pid), text.seconds(fork.seconds), text.seconds(fork.anon_seconds),
            text.seconds(fork.page_table_seconds), text.seconds(fork.rest_seconds), text.seconds(fork.lock_seconds),
            text.number(fork.vmas), text.number(fork.chains), text.number(fork.threads), fork.comm,
        ]
        for fork in sample.slow_forks[:_MOST_FORKS]
    ]  # fmt: skip
    return tables.table(
        rows, ["PID", "SLOW FORK", "ANON_VMAS", "TABLES", "REST", "LOCK", "VMAS", "CHAINS", "THREADS", "COMMAND"]
    )


def _divided(tables: LiveTables, sample: Sample, label: str, values: Sequence[str], keys: Sequence[str]) -> str:
    rows = []
    for value in values:
        row = [value]
        for key in keys:
            counts, rates = sample.totals.get(key) or {}, sample.rates.get(key) or {}
            row += [text.number(counts.get(value)), text.number(rates.get(value))]
        rows.append(row)
    headings = [label]
    for key in keys:
        heading = key.split("_by_")[0].replace("_", " ").upper()
        headings += [heading, heading + "/s"]
    return tables.table(rows, headings, left=1)
