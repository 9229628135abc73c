# SPDX-License-Identifier: MIT
"""What the pages are drawn from: a sample and what came with it, live, recorded, or sent to a browser's session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lazyobs.bpf.census import VmaRow
from lazyobs.bpf.programs import ProgramRuns
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.model import Sample

TRENDS = ("prepares", "forks", "promotions", "rmap_walks")
TREND_VALUES = 240  # as many as the widest sparkline shows


@dataclass(frozen=True)
class Wanted:
    """What is read only while a page shows it."""

    vmas_of: int | None = None  # pid
    programs: bool = False


@dataclass
class Extras:
    """What ``Wanted`` asked for. None if it was not wanted or is unavailable; ``why_not`` has the reason by name."""

    vmas_of: int | None = None
    vmas: list[VmaRow] | None = None
    vmas_time: float = 0.0  # of the sample that they were read with, unix seconds
    programs: list[ProgramRuns] | None = None
    why_not: Mapping[str, str] = field(default_factory=dict)


@dataclass
class ScreenState:
    """``trace_events`` and ``trends`` end at the sample, newest last. A trend is rates per second, None if unknown."""

    sample: Sample
    trace_events: Sequence[TraceEvent]
    trends: Mapping[str, Sequence[float | None]]
    extras: Extras


@dataclass(frozen=True)
class LiveUpdate:
    """What a live feed returns: the sample, the trace events since the last one, and what was wanted."""

    sample: Sample
    trace_events: list[TraceEvent]
    extras: Extras
