# SPDX-License-Identifier: MIT
"""The interface of a source of samples: the running kernel or a recording.

Views use only these protocols. Anything that some sources lack is a named feature; call ``Source.why_not(feature)``
before using it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from lazyobs.bpf.census import VmaRow
from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.programs import ProgramRuns
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.model import Kernel, Sample
from lazyobs.sources.account import Account, Held
from lazyobs.sources.ledger import LedgerReading

if TYPE_CHECKING:
    from lazyobs.bpf.event_stream import EventStream  # imports the ring, which not every command loads
    from lazyobs.kernel.symbols import Symbols


class SampleSource(Protocol):
    """A stream of samples, live or recorded, and nothing else."""

    def read(self) -> Sample:
        """The present state, or the next recorded sample. EOFError at the end of a recording."""

    def close(self) -> None:
        """Releases everything; the source cannot be used afterwards."""


class Trace(Protocol):
    """Events one by one, with splats of the kernel log, and losses at their place in time."""

    def read(self, seconds: float) -> list[TraceEvent]:
        """The next events; waits for at most ``seconds`` if there are none. EOFError at the end of a recording."""

    def close(self) -> None:
        """Stops the trace."""


class Source(SampleSource, Protocol):
    """The full interface, for views, the recorder and the screen.

    Features (bpf/features.py) are "vmas", "programs", "events", "account", "held", each kind of event (bpf/event.py) and
    "splat", and each invariant (lazyobs/invariants.py). Where ``why_not`` has a reason, the method of that name raises NotSupported.
    """

    @property
    def live(self) -> bool:
        """Whether samples come from the running kernel: /proc of this machine may then have what a sample lacks."""

    @property
    def kernel(self) -> Kernel:
        """The kernel, its profile, and the current state of the lazy switch."""

    @property
    def tiers(self) -> Mapping[str, str | None]:
        """{probe point: tier, or None if it is not attached}."""

    @property
    def compiler(self) -> str | None:
        """Version of the BCC that compiled the probes; None if there are no probes."""

    def memory(self) -> Mapping[str, int]:
        """The machine's memory in bytes, named as in /proc/meminfo: {"MemTotal_bytes", "Slab_bytes", ...}; of a
        recording, at its end. Empty where it is not known."""

    def why_not(self, feature: str) -> str:
        """Why the feature is missing, "" if it is available. KeyError for an unknown feature."""

    def vmas(self, pid: int) -> list[VmaRow]:
        """Every VMA of a process, in address order; empty if the process has ended."""

    def programs(self) -> Sequence[ProgramRuns]:
        """The cost of each BPF program since attach."""

    def trace(self, wanted: EventFilter, splats: bool, symbols: Symbols | None = None) -> Trace:
        """The events that pass ``wanted``, decoded; ``splats`` adds the splats of the kernel log, ``symbols`` the stacks
        of lock waits, which no recording has."""

    def events(self) -> EventStream:
        """The undecoded events, for the recorder. A source provides either these or a trace."""

    def account(self) -> Account:
        """Objects allocated and freed since attach. OSError if the maps cannot be read now."""

    def held(self) -> Held:
        """Objects that VMAs hold now. OSError if the iterator cannot be read now."""

    def judge(self, barrier: LedgerReading) -> int | None:
        """Compares a barrier reading with earlier readings. Returns the minimum number of unaccounted objects, None if
        there are none. Samples count the violation from then on."""
