# SPDX-License-Identifier: MIT
"""The page of promotions: lazy VMAs made regular, by reason, with their latency and the latest events."""

from __future__ import annotations

from lazyobs import text
from lazyobs.model import REASONS
from lazyobs.screen import distribution
from lazyobs.screen.pages.events import latest_events
from lazyobs.screen.pages.page import Page, percent

_MOST_BAR = 40  # columns


def draw(page: Page) -> None:
    if page.cannot_show("promotions", "1 shows which VMAs would be lazy"):
        return
    sample, palette = page.screen_state.sample, page.palette
    counts = sample.totals.get("promotions_by_reason") or {}
    total = sum(counts.values())
    page.heading([("REASON", -12), ("PROMOTIONS", 10), ("/s", 8), ("SHARE", 6), ("", -1)])
    for reason in REASONS:
        _row(page, reason, counts.get(reason), total)
    failed = sample.totals.get("promotions_failed")
    style = palette.bad if failed else palette.text
    page.blank()
    page.row([("failed", -12, style), (text.number(failed), 10, style)])
    page.paragraph("duration    " + distribution.percentiles(sample.histograms.get("promotion_seconds")))
    page.null_reasons("totals.promotions", "totals.promotions_by_reason", "histograms.promotion_seconds")
    page.blank()
    latest_events(page, "Promotions, latest first", lambda event: event.kind.startswith("promotion"))


def _row(page: Page, reason: str, count: int | None, total: int) -> None:
    palette = page.palette
    rate = (page.screen_state.sample.rates.get("promotions_by_reason") or {}).get(reason)
    share = count / total if count is not None and total else None
    width = max(0, min(_MOST_BAR, page.width - 42))
    bar = page.glyphs.states["shared"] * max(1 if count else 0, round((share or 0) * width))
    page.row(
        [
            (reason, -12, palette.strong if count else palette.dim),
            (text.number(count), 10, page.count_style(count)),
            (text.number(rate), 8, page.count_style(rate)),
            (percent(share), 6, page.count_style(count)),
            (bar, -width, palette.cost),
        ]
    )
