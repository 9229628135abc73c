# SPDX-License-Identifier: MIT
"""The options of a run of the recorder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lazyobs.recorder.triggers import Trigger
from lazyobs.sources.event_choice import EventChoice


@dataclass(frozen=True)
class RecordOptions:
    """Times are seconds, None is no limit. ``barrier``: seconds between barrier readings, 0 for none; ``keep_on``:
    the triggers that make the recorder keep its present segments; ``segment_bytes`` None: the writer chooses;
    ``command``: the workload to record, () for the system as it is; ``whole_cmdline``: the kernel's command line with
    everything in it; ``budget``: share of the machine's CPU time to keep within (sources/budget.py)."""

    directory: str
    interval: float = 1.0
    duration: float | None = None
    barrier: float = 0.0
    max_bytes: int | None = None
    max_seconds: float | None = None
    segment_bytes: int | None = None
    keep_on: tuple[Trigger, ...] = ()
    events: EventChoice = field(default_factory=EventChoice)
    progress: str = "text"
    profile: Path | None = None
    tier: str | None = None
    command: tuple[str, ...] = ()
    whole_cmdline: bool = False
    budget: float | None = None
