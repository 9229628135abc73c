# SPDX-License-Identifier: MIT
"""What the page draws, as numbers: lines over time, distributions, and intervals beside their limits.

However many recordings there are, the page stays of a size that a browser takes: a recording is thinned to fewer
points then. Rates are of what lies between two points, so that nothing is left out of them.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazyobs.kernel.slab import CACHES
from lazyobs.soak.series import Column, Distribution, Series
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS, Verdict
from lazyobs.text import printable

MOST_NUMBERS = 1_500_000  # on a page
LEAST_POINTS = 100  # of a line
MOST_BOUNDS = 300  # of a distribution
MOST_INTERVALS = 60  # of one figure
_FIRST = (FAIL, INCONCLUSIVE, PASS, "")
MOST_HAPPENED = 300  # marks and splats of a recording


@dataclass(frozen=True)
class Line:
    """A column of a table of Series; ``rate``: its growth per second, times ``factor``."""

    column: str
    label: str
    table: str = "samples"
    rate: bool = False
    factor: float = 1.0
    overlaid: bool = False  # shown where all recordings lie over each other


@dataclass(frozen=True)
class Panel:
    title: str
    lines: tuple[Line, ...]
    axis: dict[str, Any]


def _rates(*names: str, table: str = "samples", overlaid: tuple[str, ...] = ()) -> tuple[Line, ...]:
    return tuple(
        Line(name, name.removeprefix("vmstat_").replace("_", " "), table, rate=True, overlaid=name in overlaid)
        for name in names
    )


PANELS = (
    Panel("live objects, barrier samples", tuple(Line(cache, cache, "barriers", overlaid=cache == "anon_vma") for cache in CACHES), {}),
    Panel("objects that no VMA holds", tuple(Line(f"{cache}_orphans", cache, "barriers", overlaid=cache == "anon_vma") for cache in CACHES), {}),
    Panel(
        "VMAs",
        (
            Line("vmas_anon", "anonymous", overlaid=True),
            Line("vmas_shared", "shared"),
            Line("vmas_private", "private: would stay lazy"),
            Line("vmas_lazy", "lazy"),
        ),
        {},
    ),
    Panel("anon_vma and chain memory", (Line("saved_bytes", "saved", overlaid=True), Line("savable_bytes", "savable")), {"ticksuffix": "B"}),
    Panel("per second", _rates("prepares", "lazy_prepares", "forks", "promotions", "promotions_failed", overlaid=("prepares", "forks", "promotions")), {}),
    Panel("objects per second", _rates("anon_vma_allocs", "anon_vma_frees", "chain_allocs", "chain_frees"), {}),
    Panel("reverse-map walks per second", _rates("rmap_walks", "rmap_walk_vmas", overlaid=("rmap_walks",)), {}),
    Panel("the machine, per second", _rates("vmstat_pgfault", "vmstat_pgmajfault", "vmstat_pgsteal_kswapd", "vmstat_pgmigrate_success", table="system"), {}),
    Panel(
        "share of time stalled",
        tuple(Line(f"pressure_{kind}_some_us", kind, "system", True, 1e-6) for kind in ("cpu", "io", "memory")),
        {"tickformat": ".1%"},
    ),
    Panel("lazyobs, share of one CPU", (Line("health_self_cpu_seconds", "CPU", rate=True, overlaid=True),), {"tickformat": ".1%"}),
)  # fmt: skip


def drawn(verdict: Verdict, recordings: list[Series]) -> dict[str, Any]:
    """JSON for page.js; texts are fit for plotly's small HTML, unknown numbers are null."""
    lines = sum(len(panel.lines) for panel in PANELS)
    points = max(LEAST_POINTS, MOST_NUMBERS // (lines * max(len(recordings), 1)))
    arms = {name: arm for arm in ("base", "new") for name in _names(verdict.identity.get(arm))}
    return {
        "panels": [
            {
                "title": panel.title,
                "axis": panel.axis,
                "lines": [
                    {"column": line.column, "label": line.label, "table": line.table, "overlaid": line.overlaid}
                    for line in panel.lines
                ],
            }
            for panel in PANELS
        ],
        "recordings": [_recording(series, arms.get(series.name, ""), points) for series in recordings],
        "distributions": _distributions(recordings),
        "intervals": list(_intervals(verdict)),
    }


def _names(block: object) -> list[str]:
    return list(block) if isinstance(block, dict) else []


def _recording(series: Series, arm: str, points: int) -> dict[str, Any]:
    tables = {"samples": series.samples, "barriers": series.barriers, "system": series.system}
    begin = float(series.samples["time"][0])
    kept = {name: _thinned(len(table.get("time", ())), points) for name, table in tables.items()}
    columns = {}
    for panel in PANELS:
        for line in panel.lines:
            values = tables[line.table].get(line.column)
            if values is None:
                continue
            shown = values[kept[line.table]]
            if line.rate:
                shown = _rate(tables[line.table]["time"][kept[line.table]], shown) * line.factor
            if np.any(np.isfinite(shown) & (shown != 0)):
                columns[line.column] = _numbers(shown)
    times = {name: _numbers(tables[name]["time"][kept[name]] - begin, 3) for name in tables if len(kept[name])}
    return {
        "name": _label(series.name),
        "arm": arm,
        "begin": begin,
        "times": times,
        "columns": columns,
        "happened": _happened(series, begin),
    }


def _thinned(count: int, points: int) -> Any:
    """Places of at most ``points`` of ``count`` rows, both ends among them."""
    return np.unique(np.linspace(0, count - 1, min(count, points)).round().astype(int)) if count else np.array([], int)


def _rate(times: Column, values: Column) -> Column:
    """Growth per second since the row before; unknown at the first."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Column = np.diff(values, prepend=np.nan) / np.diff(times, prepend=np.nan)
    return found


def _numbers(values: Column, decimals: int | None = None) -> list[float | None]:
    """Six digits are more than a screen shows."""
    if decimals is not None:
        return [round(value, decimals) for value in values.tolist()]
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values.tolist()]


def _happened(series: Series, begin: float) -> list[dict[str, Any]]:
    """Splats first: where there are too many, marks are left out before them."""
    found = [(splat, True) for splat in series.splats] + [(mark, False) for mark in series.marks]
    return [
        {
            "time": round(mark.time - begin, 3),
            "kind": _label(mark.kind),
            "text": _label(mark.text[:300] + (f" ({mark.value:g})" if mark.value is not None else "")),
            "splat": splat,
        }
        for mark, splat in found[:MOST_HAPPENED]
    ]


def _distributions(recordings: list[Series]) -> dict[str, Any]:
    """{name: its unit, and of each recording the share of all that is above each bound}."""
    found: dict[str, Any] = {}
    for place, series in enumerate(recordings):
        for name, distribution in series.distributions.items():
            if not distribution.counts.sum():
                continue
            seconds = "_seconds" in name
            title = "duration" if seconds else "VMAs visited by a walk"
            entry = found.setdefault(name, {"title": title, "unit": "s" if seconds else "", "lines": []})
            bounds, above = _above(series.every(name) or distribution)
            entry["lines"].append({"recording": place, "bounds": bounds, "above": above})
    return dict(sorted(found.items()))


def _above(distribution: Distribution) -> tuple[list[float | None], list[float | None]]:
    total = float(distribution.counts.sum())
    above = 1 - np.cumsum(distribution.counts) / total
    first = max(int(np.argmax(distribution.counts > 0)) - 1, 0)
    known = np.flatnonzero(np.isfinite(distribution.bounds) & (above > 1e-12))
    known = known[known >= first]
    known = known[_thinned(len(known), MOST_BOUNDS)]
    return _numbers(distribution.bounds[known]), _numbers(above[known])


_KINDS = (
    # (part, unit in numbers, factor, unit shown, key of the limit, title, about)
    ("leak", "objects/s", 1.0, "objects per second", "floor", "Leaks: objects beyond what the workload explains", "The dashed line is the slowest leak that counts as one: an interval left of it rules out a steady leak."),
    ("cost", "ratio", 100.0, "change, %", "margin", "Cost: new against base", "Above zero is worse. The dashed line is the margin: an interval left of it shows that there is no regression."),
    ("cost", "share", 100.0, "change, percentage points", "margin", "Success: new against base", "Below zero is worse. The dashed line is the margin."),
    ("benefit", "bytes", 1 / 1024, "KiB", "", "Benefit", "Mean, or difference between the arms, with its interval."),
)  # fmt: skip


def _intervals(verdict: Verdict) -> Iterator[dict[str, Any]]:
    """Findings with an estimate, those of one unit together."""
    for number, (part, unit, factor, shown, limit, title, about) in enumerate(_KINDS):
        rows = []
        for finding in verdict.findings:
            numbers = finding.numbers
            if finding.part != part or unit not in (numbers.get("scale"), numbers.get("unit")):
                continue
            if _finite(numbers.get("estimate")) is None or "low" not in numbers:
                continue
            sign = -1 if unit == "share" else 1
            given = _finite(numbers.get(limit))
            rows.append(
                {
                    "name": _label(f"{finding.recording} {finding.name}".strip()),
                    "text": _label(finding.text),
                    "outcome": finding.outcome,
                    **{key: _scaled(numbers.get(key), factor) for key in ("estimate", "low", "high")},
                    "limit": None if given is None else sign * abs(given) * factor,
                }
            )
        if len(rows) > MOST_INTERVALS:
            about += f" {MOST_INTERVALS} of {len(rows)}, those first that did not pass; all are listed below."
            rows = sorted(rows, key=lambda row: _FIRST.index(row["outcome"]))[:MOST_INTERVALS]
        if rows:
            yield {"id": f"intervals{number}", "title": title, "about": about, "unit": shown, "rows": rows}


def _finite(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _scaled(value: object, factor: float) -> float | None:
    found = _finite(value)
    return None if found is None else found * factor


def _label(text: str) -> str:
    """plotly takes texts for a small HTML with links in it."""
    return html.escape(printable(text))
