# SPDX-License-Identifier: MIT
"""What the statistics see of one recording: columns over time. An engine makes it from a directory,
a simulator from a seed; what judges it knows neither.

Arrays are float64 and of one length per table; NaN is a number that could not be known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lazyobs.model import Process

Column = npt.NDArray[np.float64]
Table = dict[str, Column]


_COMPLETE = 0.999  # ends of the two are read a moment apart


@dataclass(frozen=True)
class Mark:
    """Something that happened to the recording (docs/recordings.md, marks), or a line of the kernel's log."""

    time: float  # unix seconds
    kind: str
    value: float | None = None
    text: str = ""


@dataclass(frozen=True)
class Distribution:
    """A histogram of the schema between two moments: ``bounds`` are upper, the last is infinite."""

    bounds: Column
    counts: Column  # of each bucket by itself
    sum: float


@dataclass(frozen=True)
class Events:
    """Events of one kind, every one of them. Walks are recorded from ``--min-us`` on only, a millisecond if nothing
    else was asked for: compare ``count`` with the counter before taking them for all there were."""

    count: int
    seconds: Distribution  # three significant digits: bounds lie 0.1 to 1 % apart; those without a duration left out
    longest: float  # seconds; NaN where no duration is known


@dataclass
class Series:
    """One recording. ``samples`` has "time", "elapsed", COUNTER_NAMES, CENSUS_NAMES, "health_*" and "processes"
    (how many there were); ``barriers`` has "time", "vmas", "processes" and a column of live objects
    for each slab cache with a row of its own, NaN where it shares one, and perhaps "<cache>_orphans" (live objects that
    no VMA holds: the smallest of a barrier's readings) and "<cache>_orphans_spread" (largest less smallest of these
    readings), NaN where not known; ``system`` has "time" and what
    /proc/vmstat, /proc/meminfo and PSI said.
    """

    name: str
    identity: Mapping[str, Any]
    interval: float  # seconds between samples
    samples: Table
    barriers: Table
    system: Table
    marks: list[Mark] = field(default_factory=list)
    splats: list[Mark] = field(default_factory=list)  # kind as in the kernel log's patterns, text the line
    distributions: dict[str, Distribution] = field(default_factory=dict)  # name in Sample.histograms
    object_bytes: dict[str, int] = field(default_factory=dict)  # cache: room of one object in its slab
    first: dict[str, Any] = field(default_factory=dict)  # kernel, totals, tiers, null_reasons of the first sample
    last: dict[str, Any] = field(default_factory=dict)  # the same of the last one
    warm: dict[str, Any] = field(default_factory=dict)  # the same of the sample that ``distributions`` begin at
    events: dict[str, Events] = field(default_factory=dict)  # "fork", "promotion{split}", "rmap_walk{unmap}", ...
    torn: tuple[str, ...] = ()  # streams whose last batch was not finished
    damage: tuple[str, ...] = ()  # what streams have lost to damage, a text each
    events_lost: float = 0  # to damage; NaN where it is not known how many
    checksummed: bool = True  # damage to the files could be seen
    count: int = 0  # of samples recorded; ``samples`` may have fewer rows
    # Processes of the first sample after the warm-up and of a late one, with what their VMAs hold; user is empty.
    holders: tuple[list[Process], list[Process]] = field(default_factory=lambda: ([], []))
    held_for: float = 0.0  # seconds between those two
    unwatched: float = 0.0  # seconds before the first sample, in which probes were not attached yet
    cmdline: str | None = None  # the kernel's command line as it was recorded; ``identity`` has a part of it

    def __post_init__(self) -> None:
        if not self.count:
            self.count = len(self.samples["time"])

    def every(self, name: str) -> Distribution | None:
        """The durations that ``distributions[name]`` counts, to three digits, from the events themselves; None where
        not all of them were recorded, as of walks below a millisecond."""
        kernel = self.distributions.get(name)
        events = self.events.get(name.replace("_seconds", ""))
        if kernel is None or events is None or events.seconds.counts.sum() < _COMPLETE * kernel.counts.sum():
            return None
        return events.seconds
