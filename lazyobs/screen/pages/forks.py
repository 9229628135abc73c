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
    parts = [
        f"slow fork {text.seconds(fork.seconds)} of {text.printable(fork.comm)} ({fork.pid}): {text.number(fork.vmas)} VMAs",
        f"{text.number(fork.chains)} chains",
        f"{fork.threads} {text.plural(fork.threads, 'thread')}",
        f"anon_vmas {text.seconds(fork.anon_seconds)}",
        f"waits for a lock {text.seconds(fork.lock_seconds)}",
    ]
    return ", ".join(parts)


def fork_line(sample: Sample, palette: Palette, width: int) -> Line:
    """Below the heading: how long the anon_vma part of a fork takes, or why that is unknown."""
    reasons = null_reasons(sample, ("histograms.fork_seconds",))
    latency = reasons[0] if reasons else distribution.percentiles(sample.histograms.get("fork_seconds"))
    return [Segment(cut(f"anon_vma part of a fork  {latency}", width), palette.dim)]
