# SPDX-License-Identifier: MIT
"""The events that -e, --min-us, -p and --comm select."""

from __future__ import annotations

from dataclasses import dataclass

from lazyobs.bpf.event import KIND_NAMES
from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.trace_event import SPLAT
from lazyobs.sources.source import Source

KINDS = (*KIND_NAMES, SPLAT)


@dataclass(frozen=True)
class EventChoice:
    """``kinds``: the kinds requested by name, None for the default kinds. ``min_us`` None keeps each kind's default
    minimum duration; ``pids`` () is every process; ``comm`` is the name of a thread."""

    kinds: tuple[str, ...] | None = None
    min_us: float | None = None
    pids: tuple[int, ...] = ()
    comm: str | None = None

    @property
    def filter(self) -> EventFilter:
        """The filter for the probes and for recorded events; splats do not come through the ring."""
        if self.kinds is None:
            return EventFilter(min_us=self.min_us, pids=self.pids, comm=self.comm)
        kinds = tuple(kind for kind in self.kinds if kind != SPLAT)
        return EventFilter(kinds, self.min_us, self.pids, self.comm)

    @property
    def splats(self) -> bool:
        """Whether to show splats, which belong to no process and no thread."""
        return SPLAT in (self.kinds or KINDS) and not self.pids and self.comm is None

    def missing(self, source: Source) -> dict[str, str]:
        """{selected kind of event: why it is not available}."""
        found = {kind: source.why_not(kind) for kind in self.kinds or KINDS}
        return {kind: why for kind, why in found.items() if why}
