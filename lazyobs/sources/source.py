# SPDX-License-Identifier: MIT
"""What can be asked of a source of samples, whatever it is: the running kernel or a recording.

A view asks through these protocols alone. What a source may be unable to give is a feature with a name, and
``Source.why_not(feature)`` is asked before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from lazyobs.bpf.census import VmaRow
from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.programs import ProgramRuns
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.model import Kernel, Sample
from lazyobs.sources.ledger import Account, LedgerReading

if TYPE_CHECKING:
    from lazyobs.bpf.event_stream import EventStream  # with the ring, which not every command loads


class SampleSource(Protocol):
    """A stream of samples, live or recorded, and no more."""

    def read(self) -> Sample:
        """The state now (or the next recorded one). EOFError at the end of a recording."""

    def close(self) -> None:
        """Gives everything back; the source is of no use afterwards."""


class Trace(Protocol):
    """Events one by one, with splats of the kernel log and losses where they were."""

    def read(self, seconds: float) -> list[TraceEvent]:
        """The next events; waits for ``seconds`` at most while there is none. EOFError at the end of a recording."""

    def close(self) -> None:
        """No more is read."""


class Source(SampleSource, Protocol):
    """Everything that a view, the recorder or the screen may ask.

    Features (bpf/features.py) are "vmas", "programs", "events", "account", each kind of event (bpf/event.py) and
    "splat", and each invariant (lazyobs/invariants.py). Where ``why_not`` has a reason, the method of that name raises NotSupported.
    """

    @property
    def live(self) -> bool:
        """Whether samples are of the running kernel: what one lacks may still be on this machine."""

    @property
    def kernel(self) -> Kernel:
        """The kernel, its profile, and the position of the lazy switch now."""

    @property
    def tiers(self) -> Mapping[str, str | None]:
        """{probe point: tier, or None where it is not attached}."""

    @property
    def compiler(self) -> str | None:
        """Version of the BCC that compiled the probes; None where there are none."""

    def why_not(self, feature: str) -> str:
        """Why there is no such feature here, "" where there is. KeyError for a name that is no feature."""

    def vmas(self, pid: int) -> list[VmaRow]:
        """Every VMA of one process, in address order; empty when it has gone."""

    def programs(self) -> Sequence[ProgramRuns]:
        """What each BPF program has cost since attach."""

    def trace(self, wanted: EventFilter, splats: bool) -> Trace:
        """The events that pass ``wanted``, decoded; with ``splats`` those of the kernel log, too."""

    def events(self) -> EventStream:
        """The events undecoded, for the recorder. A source gives either these or a trace."""

    def account(self) -> Account:
        """anon_vma objects allocated and freed since attach. OSError where the maps cannot be read now."""

    def judge(self, barrier: LedgerReading) -> int | None:
        """Holds a barrier reading against those before; the least number of objects that are off, None where
        none is. Samples count the violation from then on."""
