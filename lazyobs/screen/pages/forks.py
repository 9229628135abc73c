# SPDX-License-Identifier: MIT
"""What the page of forks has beside its table."""

from __future__ import annotations

from rich.segment import Segment

from lazyobs.model import Sample
from lazyobs.screen import distribution
from lazyobs.screen.line import Line, cut
from lazyobs.screen.pages.page import null_reasons
from lazyobs.screen.palette import Palette


def fork_line(sample: Sample, palette: Palette, width: int) -> Line:
    """Below the heading: how long the anon_vma part of a fork takes, or why that is unknown."""
    reasons = null_reasons(sample, ("histograms.fork_seconds",))
    latency = reasons[0] if reasons else distribution.percentiles(sample.histograms.get("fork_seconds"))
    return [Segment(cut(f"anon_vma part of a fork  {latency}", width), palette.dim)]
