# SPDX-License-Identifier: MIT
"""Kernel A/B: two kernels, or two settings of the lazy switch, side by side, per host."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Row
from grafana_foundation_sdk.models.dashboard import Dashboard
from grafana_foundation_sdk.models.units import BytesIEC, OpsPerSecond, PercentUnit, Seconds, Short

from dashboards import layout
from dashboards.panels import Panel, lines, number, query

_SIDES = (("A", "a"), ("B", "b"))


def _on(side: str) -> str:
    """Selects the hosts of a side: multiplied by 1 where the kernel is the chosen one."""
    return f'on (job, instance) group_left () lazyobs_kernel_info{{release="$release_{side}", lazy="$lazy_{side}"}}'


def _mean(expr: str, side: str, by: str = "") -> str:
    """Mean over the hosts of a side, of one number a host (and label ``by``)."""
    grouping = f" by ({by})" if by else ""
    return f"avg{grouping} (({expr}) * {_on(side)})"


def _quantile(metric: str, quantile: float, side: str) -> str:
    rates = f"sum by (job, instance, le) (rate({metric}_bucket[$__rate_interval]))"
    return f"histogram_quantile({quantile}, sum by (le) ({rates} * {_on(side)}))"


def _rate(metric: str, by: str = "") -> str:
    return f"sum by (job, instance{', ' + by if by else ''}) (rate({metric}[$__rate_interval]))"


def _pair(title: str, about: str, queries: dict[str, str], unit: str, by: str = "") -> list[Panel]:
    """A panel for each side, of the same expressions: {legend: expr of one host}."""
    return [
        lines(
            f"{name}: {title}",
            about,
            *(query(_mean(expr, side, by), legend) for legend, expr in queries.items()),
            unit=unit,
        )
        for name, side in _SIDES
    ]


def _quantiles(title: str, about: str, metric: str) -> list[Panel]:
    return [
        lines(
            f"{name}: {title}",
            about,
            *(query(_quantile(metric, q, side), f"p{round(q * 100)}") for q in (0.5, 0.9, 0.99)),
            unit=Seconds,
        )
        for name, side in _SIDES
    ]


def _ratio(title: str, about: str, expr: str) -> Panel:
    about += " Mean per host of side B, divided by that of side A."
    return number(title, about, f"{_mean(expr, 'b')} / {_mean(expr, 'a')}", "B / A", PercentUnit)


_ACTIVE = 'lazyobs_slab_objects_active{{cache="{}"}}'
_SLAB_BYTES = "sum by (job, instance, cache) (lazyobs_slab_objects_active * lazyobs_slab_object_bytes)"


def _hosts(name: str, side: str) -> Panel:
    expr = f'count(lazyobs_kernel_info{{release="$release_{side}", lazy="$lazy_{side}"}})'
    return number(f"hosts of {name}", "Hosts with the kernel and switch chosen for this side.", expr, name)


def board() -> Dashboard:
    items: list[Row | Panel] = [
        Row("B / A"),
        _ratio("anon_vma objects", "Active objects in slabinfo.", _ACTIVE.format("anon_vma")),
        _ratio("chain objects", "Active objects in the anon_vma_chain row of slabinfo.",
               _ACTIVE.format("anon_vma_chain")),
        _ratio("chains per fork", "anon_vma_chain objects cloned from the parent.",
               _rate("lazyobs_fork_chains_total") + " / " + _rate("lazyobs_forks_total")),
        _ratio("anonymous VMAs", "If this is not close to 100 %, the workloads differ.",
               'sum by (job, instance) (lazyobs_vmas{state!="plain"})'),
        *(_hosts(name, side) for name, side in _SIDES),
        Row("Memory, per host"),
        *_pair("slab bytes", "Active objects times the size of one. A cache includes any caches merged with it.",
               {"{{cache}}": _SLAB_BYTES}, BytesIEC, "cache"),
        *_pair("bytes saved and savable",
               "What lazy anon_vmas save now, and what making private VMAs lazy would save.",
               {"saved": "lazyobs_saved_bytes", "savable": "lazyobs_savable_bytes"}, BytesIEC),
        *_pair("VMAs by state", "From the VMA census.", {"{{state}}": "lazyobs_vmas"}, Short, "state"),
        Row("Work, per host"),
        *_pair("objects and forks per second", "Counted in the kernel.",
               {"prepares": _rate("lazyobs_prepares_total"), "anon_vma allocs": _rate("lazyobs_anon_vma_allocs_total"),
                "chain allocs": _rate("lazyobs_chain_allocs_total"), "forks": _rate("lazyobs_forks_total")},
               OpsPerSecond),
        *_pair("promotions per second", "Lazy VMAs promoted to regular ones, by reason.",
               {"{{reason}}": _rate("lazyobs_promotions_total", "reason")}, OpsPerSecond, "reason"),
        Row("Latency, all hosts of a side together"),
        *_quantiles("prepare", "Time in __anon_vma_prepare.", "lazyobs_prepare_seconds"),
        *_quantiles("fork", "Time in anon_vma_fork, summed over a fork.", "lazyobs_fork_seconds"),
        *_quantiles("reverse-map walk", "Duration of one walk.", "lazyobs_rmap_walk_seconds"),
    ]  # fmt: skip
    variables = [
        layout.variable(f"{label}_{side}", label, series, f"{name}: {label}")
        for name, side in _SIDES
        for label, series in (
            ("release", "lazyobs_kernel_info"),
            ("lazy", f'lazyobs_kernel_info{{release="$release_{side}"}}'),
        )
    ]
    about = "Two kernels, or two settings of the lazy switch, side by side."
    return layout.board("lazyobs: kernel A/B", about, variables, items)
