# SPDX-License-Identifier: MIT
"""The page of waits for the locks of root anon_vmas: by path, family and process, and the longest of late."""

from __future__ import annotations

from lazyobs import text
from lazyobs.bpf.trace_event import LOCK_WAIT
from lazyobs.model import LOCK_PATHS, Process
from lazyobs.screen import distribution
from lazyobs.screen.pages.events import latest_events
from lazyobs.screen.pages.page import Page, percent
from lazyobs.views import family_cells

_COLUMNS = (
    ("PATH", -10), ("WAITS", 9), ("/s", 8), ("TIME", 7), ("SHARE", 5), ("P50", 7), ("P90", 7), ("P99", 7), ("MAX", 7),
)  # fmt: skip
_PROCESSES = (("PID", 8), ("WAITS", 9), ("WRITES", 9), ("TIME", 7), ("TIME/s", 7), ("COMMAND", -15))
_FAMILIES = (
    ("FAMILY", 6), ("PID", 8), ("PROCS", 6), ("VMAS", 8), ("CHAINS", 8), ("WAITS", 9), ("WRITES", 9), ("TIME", 7), ("MAX", 7),
    ("COMMAND", -15),
)  # fmt: skip
_MOST_FAMILIES, _MOST_PROCESSES = 6, 8


def draw(page: Page) -> None:
    total = sum(_seconds(page, path) or 0.0 for path in LOCK_PATHS)
    waits = page.screen_state.sample.totals.get("lock_waits")
    if waits == 0:
        page.paragraph("No task has waited for the lock of a root anon_vma since the start.", page.palette.strong)
    else:
        page.heading(_COLUMNS)
        for path in LOCK_PATHS:
            _path(page, path, total)
    page.blank()
    page.paragraph(
        "A family of forked processes has one lock for each root anon_vma. TIME is what tasks waited for it.",
        page.palette.dim,
    )
    page.null_reasons("totals.lock_waits", "histograms.lock_wait_seconds")
    page.blank()
    _families(page)
    _processes(page)
    latest_events(page, "Long waits (1 ms and longer), latest first", lambda event: event.kind == LOCK_WAIT)


def _seconds(page: Page, path: str) -> float | None:
    waits = page.screen_state.sample.histograms.get(f"lock_wait_seconds{{{path}}}")
    return None if waits is None else float(waits["sum"])


def _path(page: Page, path: str, total: float) -> None:
    sample, palette = page.screen_state.sample, page.palette
    waits = (sample.totals.get("lock_waits_by_path") or {}).get(path)
    rate = (sample.rates.get("lock_waits_by_path") or {}).get(path)
    seconds = _seconds(page, path)
    share = seconds / total if seconds is not None and total else None
    cells = [
        (path, -10, palette.strong if waits else palette.dim),
        (text.number(waits), 9, page.count_style(waits)),
        (text.number(rate), 8, page.count_style(rate)),
        (text.seconds(seconds), 7, page.count_style(seconds)),
        (percent(share), 5, page.count_style(share)),
    ]
    latency = sample.histograms.get(f"lock_wait_seconds{{{path}}}")
    cells += [
        (text.seconds(distribution.quantile(latency, q)), 7, page.count_style(waits))
        for q in distribution.PERCENTILES.values()
    ]
    page.row(cells)


def _families(page: Page) -> None:
    """Those that waited longest, with the process that their root belongs to."""
    families = page.screen_state.sample.families[:_MOST_FAMILIES]
    if not families:
        return
    page.heading(_FAMILIES)
    for family in families:
        page.row((value, width, page.palette.text) for value, (_, width) in zip(family_cells.cells(family), _FAMILIES))
    page.blank()


def _processes(page: Page) -> None:
    """Those that waited longest since the counters began."""

    def waited(process: Process) -> int:
        return process.counts.get("lock_waited_ns") or 0

    longest = sorted(filter(waited, page.screen_state.sample.processes), key=waited, reverse=True)[:_MOST_PROCESSES]
    if not longest:
        return
    page.heading(_PROCESSES)
    for process in longest:
        rate = process.rates.get("lock_waited_ns")
        page.row(
            (value, width, page.palette.text)
            for value, (_, width) in zip(
                (
                    str(process.pid),
                    text.number(process.counts.get("lock_waits")),
                    text.number(process.counts.get("lock_write_waits")),
                    text.seconds(waited(process) / 1e9),
                    text.seconds(None if rate is None else rate / 1e9),
                    text.printable(process.comm),
                ),
                _PROCESSES,
            )
        )
    page.blank()
