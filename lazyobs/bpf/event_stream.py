# SPDX-License-Identifier: MIT
"""The events of an attached session: the ring they come through, and the count of those it had no room for."""

from __future__ import annotations

from itertools import compress

from lazyobs.bpf import event
from lazyobs.bpf.event_counts import EventCounts
from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.maps import possible_cpus
from lazyobs.bpf.ring import Ring, Values
from lazyobs.bpf.session import Session

_NAME = 16  # bytes of a thread's name


class EventStream:
    """``ring`` has one reader: two would take each other's events. Nothing is sent before ``begin``."""

    def __init__(self, session: Session) -> None:
        """Needs a session loaded with events. OSError where the ring cannot be mapped."""
        self.ring = Ring(session.maps["events"])
        self._session = session
        self._wanted: EventFilter | None = None
        self._paused = False
        self._counts = EventCounts(session.maps["event_counts"], possible_cpus())

    def begin(self, wanted: EventFilter) -> None:
        """From now on the probes send what passes ``wanted``, and nothing else."""
        self._wanted = wanted
        if not self._paused:
            wanted.apply(self._session)

    def pause(self) -> None:
        """Nothing is sent before ``resume``, whatever ``begin`` says."""
        self._paused = True
        EventFilter(kinds=()).apply(self._session)

    def resume(self) -> None:
        """What ``begin`` said holds again."""
        self._paused = False
        self.refresh()

    def refresh(self) -> None:
        """To be called where other points are attached than before: what stands in for an event depends on them."""
        if self._wanted is not None and not self._paused:
            self._wanted.apply(self._session)

    def chosen(self, found: list[Values]) -> list[Values]:
        """Of what the ring gave, the events that pass: the probes cannot compare a name as it is shown."""
        if self._wanted is None or not self._wanted.comm_is_shown:
            return found
        return [one for one in found if self._wanted.passes_comm(event.Event._make(one).comm)]

    def chosen_of(self, records: bytearray) -> bytearray:
        """The same for whole records."""
        wanted = self._wanted
        if wanted is None or not wanted.comm_is_shown:
            return records
        names = event.column(records, "comm")
        passing = (wanted.passes_comm(names[at : at + _NAME]) for at in range(0, len(names), _NAME))
        begins = compress(range(0, len(records), event.BYTES), passing)
        return bytearray(b"".join(records[at : at + event.BYTES] for at in begins))

    def lost(self) -> int:
        """Events for which the ring had no room, since attach."""
        return self._counts.lost()

    def close(self) -> None:
        self.ring.close()
