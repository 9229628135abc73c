# SPDX-License-Identifier: MIT
"""The page of rmap walks, by walker: counts, VMAs per walk, latency."""

from __future__ import annotations

from lazyobs import text
from lazyobs.model import WALKERS
from lazyobs.screen import distribution
from lazyobs.screen.line import heat
from lazyobs.screen.pages.events import latest_events
from lazyobs.screen.pages.page import Page

# Slot 8 holds latencies up to 256 ns, slot 30 up to 1.07 s, slot 31 the rest.
_FIRST_SLOT, _SLOTS = 8, 24
_LEAST_FOR_HEAT = 120  # columns: on a narrower screen one line of heat stands for all walkers
_COLUMNS = (
    ("WALKER", -16), ("WALKS", 9), ("/s", 8), ("VMAS/WALK", 9), ("P50", 7), ("P90", 7), ("P99", 7), ("MAX", 7),
)  # fmt: skip


def draw(page: Page) -> None:
    if page.cannot_show("rmap_walks", "7 shows the waits for the locks that walks take"):
        return
    sample, palette = page.screen_state.sample, page.palette
    has_heat = page.width >= _LEAST_FOR_HEAT
    page.heading([*_COLUMNS, *([("LATENCY 256ns to 1s", -_SLOTS)] if has_heat else [])])
    for walker in WALKERS:
        _row(page, walker, has_heat)
    page.blank()
    if not has_heat:
        page.paragraph("Latency of all walks, 256ns to 1s:", palette.dim)
        total = distribution.added([sample.histograms.get(f"rmap_walk_seconds{{{walker}}}") for walker in WALKERS])
        page.paragraph(_heat(page, total) or text.NULL, palette.cost)
        page.blank()
    page.paragraph("Percentiles are upper bounds of buckets that double in width.", palette.dim)
    page.null_reasons("totals.rmap_walks", "totals.rmap_walk_vmas", "histograms.rmap_walk_seconds")
    page.blank()
    latest_events(page, "Slow walks (1 ms and longer), latest first", lambda event: event.kind == "rmap_walk")


def _row(page: Page, walker: str, has_heat: bool) -> None:
    sample, palette = page.screen_state.sample, page.palette
    walks = (sample.totals.get("rmap_walks_by_walker") or {}).get(walker)
    walk_rate = (sample.rates.get("rmap_walks_by_walker") or {}).get(walker)
    vmas = (sample.totals.get("rmap_walk_vmas_by_walker") or {}).get(walker)
    vmas_per_walk = vmas / walks if walks and vmas is not None else None
    latency = sample.histograms.get(f"rmap_walk_seconds{{{walker}}}")
    cells = [
        (walker, -16, palette.strong if walks else palette.dim),
        (text.number(walks), 9, page.count_style(walks)),
        (text.number(walk_rate), 8, page.count_style(walk_rate)),
        (text.number(vmas_per_walk), 9, page.count_style(vmas_per_walk)),
    ]
    for q in distribution.PERCENTILES.values():
        cells.append((text.seconds(distribution.quantile(latency, q)), 7, page.count_style(walks)))
    if has_heat:
        cells.append((_heat(page, latency), -_SLOTS, palette.cost))
    page.row(cells)


def _heat(page: Page, latency: distribution.Histogram | None) -> str:
    return heat(distribution.slots(latency, _FIRST_SLOT, _FIRST_SLOT + _SLOTS), page.glyphs.heat)
