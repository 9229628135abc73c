# SPDX-License-Identifier: MIT
"""The events of an attached session: the ring they come through, and the count of those it had no room for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lazyobs.bpf import event
from lazyobs.bpf.event_counts import EventCounts
from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.maps import possible_cpus
from lazyobs.bpf.ring import Ring, Values
from lazyobs.bpf.session import Session

if TYPE_CHECKING:
    from numpy import ndarray


class EventStream:
    """``ring`` has one reader: two would take each other's events. Nothing is sent before ``begin``."""

    def __init__(self, session: Session) -> None:
        """Needs a session loaded with events. OSError where the ring cannot be mapped."""
        self.ring = Ring(session.maps["events"])
        self._session = session
        self._wanted = EventFilter()
        self._counts = EventCounts(session.maps["event_counts"], possible_cpus())

    def begin(self, wanted: EventFilter) -> None:
        """From now on the probes send what passes ``wanted``, and nothing else."""
        wanted.apply(self._session)
        self._wanted = wanted

    def chosen(self, found: list[Values]) -> list[Values]:
        """Of what the ring gave, the events that pass: the probes cannot compare a name as it is shown."""
        if not self._wanted.comm_is_shown:
            return found
        return [one for one in found if self._wanted.passes_comm(event.Event._make(one).comm)]

    def chosen_of(self, found: ndarray[Any, Any]) -> ndarray[Any, Any]:
        """The same for an array of ``event.dtype()``."""
        if not self._wanted.comm_is_shown:
            return found
        import numpy  # whoever reads arrays has it; the exporter has not

        passing = [self._wanted.passes_comm(name) for name in found["comm"].tolist()]
        return found.compress(numpy.array(passing, bool))

    def lost(self) -> int:
        """Events for which the ring had no room, since attach."""
        return self._counts.lost()

    def close(self) -> None:
        self.ring.close()
