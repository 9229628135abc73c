# SPDX-License-Identifier: MIT
"""Host: one machine."""

from __future__ import annotations

from dashboards.grafana_json import Board, Panel, Query, Row, Variable, heatmap, lines, number, table

_HOST = '{instance="$instance"}'


def _rate(metric: str, legend: str) -> Query:
    return Query(f"rate({metric}{_HOST}[$__rate_interval])", legend)


def board() -> Board:
    items: list[Row | Panel] = [
        number("kernel", "Release, profile and position of the lazy switch.", Query(f"lazyobs_kernel_info{_HOST}", "{{release}} {{profile}} lazy {{lazy}}", True), width=8),
        number("saved", "Memory that laziness saves now.", Query(f"lazyobs_saved_bytes{_HOST}", "saved", True), "bytes"),
        number("savable", "Memory it would save.", Query(f"lazyobs_savable_bytes{_HOST}", "savable", True), "bytes"),
        number("processes", "Of the last reading.", Query(f"lazyobs_processes{_HOST}", "processes", True)),
        number("required probes missing", "0 is right.", Query(f"lazyobs_probes_missing{_HOST}", "missing", True)),
        Row("VMAs and memory"),
        lines("VMAs by state", "From the census.", Query(f"lazyobs_vmas{_HOST}", "{{state}}"), stack=True),
        lines("slab objects", "Active objects; a row may count merged caches too.", Query(f"lazyobs_slab_objects_active{_HOST}", "{{cache}}")),
        lines("saved and savable by cgroup", "Largest cgroups, and the others together.", Query(f"lazyobs_cgroup_saved_bytes{_HOST} + lazyobs_cgroup_savable_bytes{_HOST}", "{{cgroup}}"), unit="bytes", stack=True),
        lines(
            "slab bytes", "Active objects times the room of one.",
            Query(f"lazyobs_slab_objects_active{_HOST} * lazyobs_slab_object_bytes{_HOST}", "{{cache}}"), unit="bytes",
        ),
        Row("Work"),
        lines(
            "objects per second", "Allocated and freed.",
            _rate("lazyobs_anon_vma_allocs_total", "anon_vma allocs"), _rate("lazyobs_anon_vma_frees_total", "anon_vma frees"),
            _rate("lazyobs_chain_allocs_total", "chain allocs"), _rate("lazyobs_chain_frees_total", "chain frees"),
            unit="ops",
        ),
        lines(
            "prepares and forks per second", "Prepares are first anonymous faults of a VMA.",
            _rate("lazyobs_prepares_total", "prepares"), _rate("lazyobs_lazy_prepares_total", "lazy prepares"),
            _rate("lazyobs_forks_total", "forks"), unit="ops",
        ),
        lines("chains per fork", "Cloned from the parent.", Query(f"rate(lazyobs_fork_chains_total{_HOST}[$__rate_interval]) / rate(lazyobs_forks_total{_HOST}[$__rate_interval])", "chains")),
        lines("promotions per second", "Lazy VMAs made regular.", _rate("lazyobs_promotions_total", "{{reason}}"), unit="ops", stack=True),
        Row("Reverse-map walks"),
        heatmap("walk time", "Walks per second by time.", Query(f"sum by (le) (rate(lazyobs_rmap_walk_seconds_bucket{_HOST}[$__rate_interval]))")),
        lines("walks per second", "By what asks for them.", _rate("lazyobs_rmap_walks_total", "{{walker}}"), unit="ops", stack=True),
        lines("VMAs per walk", "Mean.", Query(f"rate(lazyobs_rmap_walk_length_vmas_sum{_HOST}[$__rate_interval]) / rate(lazyobs_rmap_walk_length_vmas_count{_HOST}[$__rate_interval])", "VMAs")),
        lines("fork and prepare time, p99", "anon_vma_fork summed over a fork; __anon_vma_prepare.",
              Query(f"histogram_quantile(0.99, sum by (le) (rate(lazyobs_fork_seconds_bucket{_HOST}[$__rate_interval])))", "fork"),
              Query(f"histogram_quantile(0.99, sum by (le) (rate(lazyobs_prepare_seconds_bucket{_HOST}[$__rate_interval])))", "prepare"), unit="s"),
        lines("broken invariants", "Times each was broken: a fault of the kernel (docs/invariants.md). What cannot be watched here has no line.",
              Query(f"lazyobs_violations_total{_HOST}", "{{invariant}}")),
        Row("The tool itself"),
        table("probe points", "The tier of each; 0 and no tier where it is not attached.", Query(f"lazyobs_probe_attached{_HOST}", "attached"), width=12),
        lines("own CPU", "Of the exporter, and of its programs in the kernel (kernel.bpf_stats_enabled).",
              _rate("lazyobs_self_cpu_seconds_total", "exporter"), _rate("lazyobs_bpf_seconds_total", "BPF programs"), unit="percentunit"),
        lines("own memory", "Resident.", Query(f"lazyobs_self_rss_bytes{_HOST}", "resident"), unit="bytes"),
        lines("misses and full maps", "Events that were not counted, per second.",
              _rate("lazyobs_recursion_misses_total", "missed"), _rate("lazyobs_map_full_insertions_total", "map full"),
              unit="ops"),
        lines("ledger residual", "Change of live anon_vma objects in slabinfo, less allocs - frees: slabinfo counts freed objects for a while.",
              Query(f"lazyobs_ledger_residual_objects{_HOST}", "objects"), below_zero=True),
        lines("scrape", "Time one reading took.", Query(f"lazyobs_scrape_read_seconds{_HOST}", "reading"), unit="s"),
    ]  # fmt: skip
    return Board(
        "lazyobs: host", "One machine.", [Variable("instance", "instance", "lazyobs_kernel_info")], items, "now-1h"
    )
