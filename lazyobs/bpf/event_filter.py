# SPDX-License-Identifier: MIT
"""Which events are wanted, told to the probes: what is not wanted is never put into the ring."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from lazyobs.bpf import abi, event
from lazyobs.bpf.session import Session

_KNOWS_VMAS, _KNOWS_CHAINS = 1, 2


@dataclass(frozen=True)
class EventFilter:
    """``min_us`` is for every kind; None leaves each kind its own. ``comm`` is the whole name of a thread."""

    kinds: tuple[str, ...] = tuple(kind.name for kind in event.KINDS if kind.by_default)
    min_us: float | None = None
    pids: tuple[int, ...] = ()
    comm: str | None = None

    def least_nanoseconds(self, kind: event.Kind) -> int:
        return round((kind.min_us if self.min_us is None else self.min_us) * 1000)

    def passes(self, record: event.Event) -> bool:
        """The same for a recorded event."""
        kind = event.KINDS[record.kind]
        return (
            kind.name in self.kinds
            and record.duration >= self.least_nanoseconds(kind)
            and (not self.pids or record.tgid in self.pids)
            and (self.comm is None or record.comm.split(b"\0", 1)[0] == _comm(self.comm))
        )

    def apply(self, session: Session) -> None:
        """From now on only what passes is sent. Needs a session with events."""
        for pid in self.pids:
            abi.map_update(session.maps["event_processes"], struct.pack("=I", pid), struct.pack("=I", 1))
        abi.map_update(session.maps["event_filter"], bytes(4), self._packed(session.tiers))

    def _packed(self, tiers: dict[str, str | None]) -> bytes:
        """struct event_filter; ``tiers`` are those of the probe points."""
        by_site = tiers.get("prepare") is None  # prepares are told by their allocation alone
        knows = _KNOWS_VMAS * (tiers.get("rmap_one") is not None) | _KNOWS_CHAINS * (tiers.get("slab") is not None)
        least = [self.least_nanoseconds(kind) for kind in event.KINDS] + [0]
        kinds = sum(1 << event.KIND_NAMES.index(name) for name in self.kinds)
        prepare = 1 << event.KIND_NAMES.index("prepare")
        if by_site and kinds & prepare:
            kinds = kinds & ~prepare | 1 << event.FILTER_NAMES.index("prepare_by_site")
        low, high = struct.unpack("=QQ", (_comm(self.comm) if self.comm is not None else b"").ljust(16, b"\0"))
        return struct.pack(
            f"={len(least)}Q QQ IIII", *least, low, high, kinds, self.comm is not None, bool(self.pids), knows
        )


def _comm(name: str) -> bytes:
    """As the kernel has it: 15 bytes at most."""
    return name.encode("utf-8", "surrogateescape")[:15]
