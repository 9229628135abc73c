# SPDX-License-Identifier: MIT
"""What the page of forks has beside its table."""

from __future__ import annotations

from rich.segment import Segment

from lazyobs import text
from lazyobs.model import Fork, Sample
from lazyobs.screen import distribution
from lazyobs.screen.line import Line, cut
from lazyobs.screen.pages.page import null_reasons
from lazyobs.screen.palette import Palette

_MOST_FORKS = 3


def slow_fork_lines(sample: Sample, palette: Palette, width: int) -> list[Line]:
    """The slowest forks of the last minute, one a line."""
    return [[Segment(cut(_slow_fork(fork), width), palette.text)] for fork in sample.slow_forks[:_MOST_FORKS]]


def _slow_fork(fork: Fork) -> str:
    """What is not known has no place in it."""
    parts = [
        f"slow fork {text.seconds(fork.seconds)} of {text.printable(fork.comm)} ({fork.pid}): {text.number(fork.vmas)} VMAs",
        *([] if fork.chains is None else [f"{text.number(fork.chains)} chains"]),
        f"{fork.threads} {text.plural(fork.threads, 'thread')}",
    ]
    if fork.anon_seconds is not None:
        parts.append(f"anon_vmas {text.seconds(fork.anon_seconds)}")
    if fork.page_table_seconds is not None:
        parts.append(f"page tables {text.seconds(fork.page_table_seconds)}")
    if fork.rest_seconds is not None:
        parts.append(f"the rest {text.seconds(fork.rest_seconds)}")
    if fork.lock_seconds:
        parts.append(f"waits for a lock {text.seconds(fork.lock_seconds)}")
    return ", ".join(parts)


def fork_line(sample: Sample, palette: Palette, width: int) -> Line:
    """Below the heading: how long forks take, and their anon_vma part where that is known."""
    parts = [
        f"{name}  {distribution.percentiles(sample.histograms[key])}"
        for name, key in (
            ("whole forks", "fork_duration_seconds"),
            ("anon_vma part of forks", "fork_seconds"),
            ("page tables", "fork_page_table_seconds"),
        )
        if sample.histograms.get(key)
    ]
    reasons = null_reasons(sample, ("histograms.fork_duration_seconds", "histograms.fork_seconds"))
    if not parts:
        parts = [f"how long forks take is not known {reasons[0]}"] if reasons else []
    line = "    ".join(parts)
    return [Segment(cut(line if len(line) <= width or not parts else parts[0], width), palette.dim)]
