# SPDX-License-Identifier: MIT
"""The health columns of a sample: losses, missing probes, and the cost of lazyobs itself."""

from __future__ import annotations

from typing import Any

from lazyobs.bpf.counts import LOCKS_UNPLACED, MAP_FULL_COUNTS, RETURNS_MISSED
from lazyobs.kernel.slab import SlabRow
from lazyobs.unix import self_usage

Health = dict[str, float | None]


def of_programs(stats: list[tuple[int, int, int]], totals: dict[str, int] | None) -> Health:
    """From [(run time in ns, runs, recursion misses)]; runs and run time are known while statistics are on."""
    runs = sum(count for _, count, _ in stats)
    return {
        "recursion_misses": sum(missed for _, _, missed in stats) + (totals or {}).get(RETURNS_MISSED, 0),
        "bpf_runs": runs or None,
        "bpf_seconds": round(sum(time for time, _, _ in stats) / 1e9, 9) if runs else None,
    }


def of_maps(totals: dict[str, int] | None, entries: int | None, capacity: int | None) -> Health:
    """``totals`` has the names of the maps as keys; ``entries``: number of processes that have counts, of ``capacity``."""
    return {
        "map_full": sum(totals[name] for name in MAP_FULL_COUNTS) if totals else None,
        "locks_unplaced": totals[LOCKS_UNPLACED] if totals else None,
        "process_map_entries": entries,
        "process_map_capacity": capacity,
    }


def of_this_process() -> Health:
    return {"self_cpu_seconds": self_usage.cpu_seconds(), "self_rss_bytes": self_usage.rss_bytes()}


def ledger_residual(
    totals: dict[str, Any], slabs: dict[str, SlabRow], slabs_at_attach: dict[str, SlabRow], counted_at_attach: int = 0
) -> int | None:
    """Live anon_vma objects in slabinfo minus our own count, both since attach, or since slabinfo was first read, when
    the count was ``counted_at_attach``."""
    allocs, frees = totals.get("anon_vma_allocs"), totals.get("anon_vma_frees")
    if "anon_vma" not in slabs or "anon_vma" not in slabs_at_attach or allocs is None or frees is None:
        return None
    change: int = slabs["anon_vma"].active - slabs_at_attach["anon_vma"].active
    return change - int(allocs - frees - counted_at_attach)
