# SPDX-License-Identifier: MIT
"""Which events were asked for, by -e, --min-us, -p and --comm."""

from __future__ import annotations

from dataclasses import dataclass

from lazyobs.bpf.event import KIND_NAMES
from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.trace_event import SPLAT
from lazyobs.sources.source import Source

KINDS = (*KIND_NAMES, SPLAT)


@dataclass(frozen=True)
class EventChoice:
    """``kinds``: those asked for by name, None for the usual ones. ``min_us`` None leaves each kind its own least
    duration; ``pids`` () is every process; ``comm`` is the name of a thread."""

    kinds: tuple[str, ...] | None = None
    min_us: float | None = None
    pids: tuple[int, ...] = ()
    comm: str | None = None

    @property
    def filter(self) -> EventFilter:
        """For the probes and for recorded events; splats are no events of the ring."""
        if self.kinds is None:
            return EventFilter(min_us=self.min_us, pids=self.pids, comm=self.comm)
        kinds = tuple(kind for kind in self.kinds if kind != SPLAT)
        return EventFilter(kinds, self.min_us, self.pids, self.comm)

    @property
    def splats(self) -> bool:
        """They are of no process and no thread."""
        return SPLAT in (self.kinds or KINDS) and not self.pids and self.comm is None

    def missing(self, source: Source) -> dict[str, str]:
        """{kind of event that may be shown: why there is none of it}."""
        found = {kind: source.why_not(kind) for kind in self.kinds or KINDS}
        return {kind: why for kind, why in found.items() if why}
