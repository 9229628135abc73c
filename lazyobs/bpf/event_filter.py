# SPDX-License-Identifier: MIT
"""Which events are wanted, told to the probes: what is not wanted is never put into the ring."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from lazyobs.bpf import abi, event, points
from lazyobs.bpf.session import Session
from lazyobs.text import printable
from lazyobs.unix import locale

_PACKED = event.FILTER.struct()


@dataclass(frozen=True)
class EventFilter:
    """``min_us`` is for every kind; None leaves each kind its own. ``comm`` is the whole name of a thread, its bytes or
    as views show it. ``stacks``: of both sides of a lock wait."""

    kinds: tuple[str, ...] = tuple(kind.name for kind in event.KINDS if kind.by_default)
    min_us: float | None = None
    pids: tuple[int, ...] = ()
    comm: str | None = None
    stacks: bool = False

    def least_nanoseconds(self, kind: event.Kind) -> int:
        return round((kind.min_us if self.min_us is None else self.min_us) * 1000)

    def passes(self, record: event.Event) -> bool:
        """The same for a recorded event."""
        kind = event.KINDS[record.kind]
        return (
            kind.name in self.kinds
            and record.duration >= self.least_nanoseconds(kind)
            and (not self.pids or record.tgid in self.pids)
            and self.passes_comm(record.comm)
        )

    def passes_comm(self, comm: bytes) -> bool:
        """Whether a thread has that name, padded with zeros as the kernel has it."""
        name = comm.split(b"\0", 1)[0]
        return self.comm is None or name == _comm(self.comm) or self.comm in _shown(name)

    @property
    def comm_is_shown(self) -> bool:
        """Whether ``comm`` may be a name as it is shown, which the probes cannot compare: each U+FFFD and each question
        mark may stand for other bytes."""
        return self.comm is not None and ("\N{REPLACEMENT CHARACTER}" in self.comm or "?" in self.comm)

    def apply(self, session: Session) -> None:
        """From now on only what passes is sent. Needs a session with events."""
        for pid in self.pids:
            abi.map_update(session.maps["event_processes"], struct.pack("=I", pid), struct.pack("=I", 1))
        abi.map_update(session.maps["event_filter"], bytes(4), self._packed(session.tiers))

    def _packed(self, tiers: dict[str, str | None]) -> bytes:
        """struct event_filter; ``tiers`` are those of the probe points."""
        knows = event.KNOWS_VMAS * (tiers.get("rmap_one") is not None)
        knows |= event.KNOWS_CHAINS * (tiers.get("slab") is not None)
        least = [self.least_nanoseconds(kind) for kind in event.KINDS]
        least += [0] * (len(event.FILTER_NAMES) - len(least))
        kinds = sum(1 << event.FILTER_NAMES.index(_seen_as(name, tiers)) for name in self.kinds)
        by_comm = self.comm is not None and not self.comm_is_shown
        name = _comm(self.comm) if self.comm is not None and by_comm else b""
        low, high = struct.unpack("=QQ", name.ljust(16, b"\0"))
        return _PACKED.pack(*least, low, high, kinds, by_comm, bool(self.pids), knows, self.stacks, 0)


def _seen_as(kind: str, tiers: dict[str, str | None]) -> str:
    """The kind itself, or the filter's name of what stands in for it where its points are not attached."""
    number = f"event.{kind}"
    instead = points.stand_in(number)
    if instead is None or all(tiers.get(point) for point in points.points_feeding(number)):
        return kind
    return instead[1]


def _shown(comm: bytes) -> tuple[str, ...]:
    """A name as JSON, tables and tables in a locale without UTF-8 show it."""
    text = comm.decode("utf-8", "replace")
    return text, printable(text), locale.in_ascii(printable(text))


def _comm(name: str) -> bytes:
    """As the kernel has it: 15 bytes at most."""
    return name.encode("utf-8", "surrogateescape")[:15]
