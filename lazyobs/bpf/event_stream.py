# SPDX-License-Identifier: MIT
"""The events of an attached session: the ring they come through, and the count of those it had no room for."""

from __future__ import annotations

from lazyobs.bpf.event_counts import EventCounts
from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.maps import possible_cpus
from lazyobs.bpf.ring import Ring
from lazyobs.bpf.session import Session


class EventStream:
    """``ring`` has one reader: two would take each other's events. Nothing is sent before ``begin``."""

    def __init__(self, session: Session) -> None:
        """Needs a session loaded with events. OSError where the ring cannot be mapped."""
        self.ring = Ring(session.maps["events"])
        self._session = session
        self._counts = EventCounts(session.maps["event_counts"], possible_cpus())

    def begin(self, wanted: EventFilter) -> None:
        """From now on the probes send what passes ``wanted``, and nothing else."""
        wanted.apply(self._session)

    def lost(self) -> int:
        """Events for which the ring had no room, since attach."""
        return self._counts.lost()

    def close(self) -> None:
        self.ring.close()
