# SPDX-License-Identifier: MIT
"""Host: one machine."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Row
from grafana_foundation_sdk.models.dashboard import Dashboard
from grafana_foundation_sdk.models.units import BytesIEC, OpsPerSecond, PercentUnit, Seconds

from dashboards import layout
from dashboards.panels import Panel, Query, heatmap, lines, number, query, table

_HOST = '{instance="$instance"}'
# slabinfo counts free anon_vmas as active: how far the ledger can be off.
_LEDGER_ERROR = 'lazyobs_slab_objects_free_at_most{instance="$instance", cache="anon_vma"}'


def _rate_of(metric: str) -> str:
    return f"rate({metric}{_HOST}[$__rate_interval])"


def _rate(metric: str, legend: str) -> Query:
    return query(_rate_of(metric), legend)


def _p99(metric: str, legend: str) -> Query:
    return query(f"histogram_quantile(0.99, sum by (le) ({_rate_of(metric + '_bucket')}))", legend)


def board() -> Dashboard:
    items: list[Row | Panel] = [
        number("kernel", "Release, profile and setting of the lazy switch.",
               f"lazyobs_kernel_info{_HOST}", "{{release}} {{profile}} lazy {{lazy}}", width=8),
        number("saved", "Memory that lazy anon_vmas save now.", f"lazyobs_saved_bytes{_HOST}", "saved", BytesIEC),
        number("savable", "Memory that making private VMAs lazy would save.",
               f"lazyobs_savable_bytes{_HOST}", "savable", BytesIEC),
        number("processes", "Processes in the last scrape.", f"lazyobs_processes{_HOST}", "processes"),
        number("required probes missing", "Should be 0.", f"lazyobs_probes_missing{_HOST}", "missing"),
        Row("VMAs and memory"),
        lines("VMAs by state", "From the VMA census.", query(f"lazyobs_vmas{_HOST}", "{{state}}"), stack=True),
        lines("slab objects", "Active objects. A cache includes any caches merged with it.",
              query(f"lazyobs_slab_objects_active{_HOST}", "{{cache}}")),
        lines("saved and savable by cgroup", "The largest cgroups, and all others as one.",
              query(f"lazyobs_cgroup_saved_bytes{_HOST} + lazyobs_cgroup_savable_bytes{_HOST}", "{{cgroup}}"),
              unit=BytesIEC, stack=True),
        lines("slab bytes", "Active objects times the size of one.",
              query(f"lazyobs_slab_objects_active{_HOST} * lazyobs_slab_object_bytes{_HOST}", "{{cache}}"),
              unit=BytesIEC),
        Row("Work"),
        lines("objects per second", "Objects allocated and freed.",
              _rate("lazyobs_anon_vma_allocs_total", "anon_vma allocs"),
              _rate("lazyobs_anon_vma_frees_total", "anon_vma frees"),
              _rate("lazyobs_chain_allocs_total", "chain allocs"),
              _rate("lazyobs_chain_frees_total", "chain frees"),
              unit=OpsPerSecond),
        lines("prepares and forks per second", "A prepare is the first anonymous fault in a VMA.",
              _rate("lazyobs_prepares_total", "prepares"),
              _rate("lazyobs_lazy_prepares_total", "lazy prepares"),
              _rate("lazyobs_forks_total", "forks"),
              unit=OpsPerSecond),
        lines("chains per fork", "anon_vma_chain objects cloned from the parent.",
              query(f"{_rate_of('lazyobs_fork_chains_total')} / {_rate_of('lazyobs_forks_total')}", "chains")),
        lines("promotions per second", "Lazy VMAs promoted to regular ones.",
              _rate("lazyobs_promotions_total", "{{reason}}"), unit=OpsPerSecond, stack=True),
        Row("Reverse-map walks"),
        heatmap("walk time", "Walks per second, by duration.",
                f"sum by (le) ({_rate_of('lazyobs_rmap_walk_seconds_bucket')})"),
        lines("walks per second", "By walker: unmap, migrate, referenced and others.",
              _rate("lazyobs_rmap_walks_total", "{{walker}}"), unit=OpsPerSecond, stack=True),
        lines("VMAs per walk", "Mean number of VMAs visited.",
              query(f"{_rate_of('lazyobs_rmap_walk_length_vmas_sum')} / "
                    f"{_rate_of('lazyobs_rmap_walk_length_vmas_count')}", "VMAs")),
        lines("fork and prepare time, p99", "Time in anon_vma_fork, summed over a fork, and in __anon_vma_prepare.",
              _p99("lazyobs_fork_seconds", "fork"), _p99("lazyobs_prepare_seconds", "prepare"), unit=Seconds),
        Row("Lock and fork"),
        lines("waits for the anon_vma lock per second", "By what the waiting task was about (docs/locks.md).",
              _rate("lazyobs_lock_waits_total", "{{path}}"), unit=OpsPerSecond, stack=True),
        lines("tasks that wait", "Mean number of tasks that wait for such a lock.",
              _rate("lazyobs_lock_wait_seconds_sum", "waiting")),
        lines("wait and fork time, p99",
              "Of a wait for the lock, of a whole fork, and of its page tables (with --also page_tables).",
              _p99("lazyobs_lock_wait_seconds", "wait"), _p99("lazyobs_fork_duration_seconds", "fork"),
              _p99("lazyobs_fork_page_table_seconds", "page tables"), unit=Seconds),
        lines("families that wait", "Root anon_vmas whose lock a task has waited for (docs/locks.md).",
              query(f"lazyobs_lock_families{_HOST}", "families")),
        Row("Invariants"),
        lines("broken invariants",
              "Violations of each invariant, which are kernel bugs (docs/invariants.md). "
              "An invariant that cannot be watched here has no line.",
              query(f"lazyobs_violations_total{_HOST}", "{{invariant}}")),
        Row("The tool itself"),
        table("probe points", "The tier of each probe point; 0 and no tier where it is not attached.",
              {"attached": f"lazyobs_probe_attached{_HOST}"}, width=12),
        lines("own CPU", "CPU time of the exporter, and of its BPF programs where kernel.bpf_stats_enabled is 1.",
              _rate("lazyobs_self_cpu_seconds_total", "exporter"),
              _rate("lazyobs_bpf_seconds_total", "BPF programs"),
              unit=PercentUnit),
        lines("own memory", "Resident memory of the exporter.",
              query(f"lazyobs_self_rss_bytes{_HOST}", "resident"), unit=BytesIEC),
        lines("misses and full maps", "Events that were not counted, per second.",
              _rate("lazyobs_recursion_misses_total", "missed"),
              _rate("lazyobs_map_full_insertions_total", "map full"),
              unit=OpsPerSecond),
        lines("ledger residual",
              "Change in live anon_vma objects according to slabinfo, minus (allocs - frees). "
              "slabinfo goes on counting freed objects for a while: at most as many as the caches can hold.",
              query(f"lazyobs_ledger_residual_objects{_HOST}", "objects"),
              query(_LEDGER_ERROR, "at most"),
              query(f"-{_LEDGER_ERROR}", "at least"), below_zero=True),
        lines("scrape", "Time taken by the last reading.",
              query(f"lazyobs_scrape_read_seconds{_HOST}", "reading"), unit=Seconds),
    ]  # fmt: skip
    variables = [layout.variable("instance", "instance", "lazyobs_kernel_info")]
    return layout.board("lazyobs: host", "One machine.", variables, items, "now-1h")
