# SPDX-License-Identifier: MIT
"""The table of trace events that several pages end with."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from lazyobs import text
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.screen.pages.page import Page
from lazyobs.views.local_time import local_time

_MOST_EVENTS = 200
_BAD_KINDS = ("promotion_failed", "violation")
_COLUMNS = (
    ("TIME", -15), ("KIND", -16), ("DETAIL", -16), ("PID", 8), ("TOOK", 7), ("OBJECTS", 7), ("COMMAND", -15),
)  # fmt: skip


def latest_events(page: Page, title: str, shown: Callable[[TraceEvent], bool], most: int = _MOST_EVENTS) -> None:
    """Adds the latest ``most`` trace events that ``shown`` accepts, the newest first."""
    page.heading([(title, -max(30, page.width))])
    page.heading(_COLUMNS)
    newest_first = (event for event in reversed(page.screen_state.trace_events) if shown(event))
    events = list(islice(newest_first, most))
    for event in events:
        _row(page, event)
    if not events:
        page.paragraph("none seen", page.palette.dim)


def _row(page: Page, event: TraceEvent) -> None:
    palette = page.palette
    values = (
        (local_time(event.time) + f"{event.time % 1:.6f}"[1:], palette.dim),
        (event.kind, palette.bad if event.kind in _BAD_KINDS else palette.text),
        (event.detail or "", palette.text),
        (text.number(event.pid), palette.text),
        (text.seconds(event.duration_seconds), palette.text),
        (text.number(event.objects), palette.text),
        (text.printable(event.comm or ""), palette.text),
    )
    page.row((value, width, style) for (value, style), (_, width) in zip(values, _COLUMNS))
