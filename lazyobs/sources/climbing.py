# SPDX-License-Identifier: MIT
"""A source that begins at the procfs tier, because the loader takes long, and has the probes once they are attached.

The loader goes on as root; the process that waits has given root up by then. It looks at the loader's socket whenever
it reads, so nothing wakes up in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from lazyobs.bpf.census import VmaRow
from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.points import POINTS
from lazyobs.bpf.programs import ProgramRuns
from lazyobs.bpf.session import Session
from lazyobs.errors import BpfRefused, NotSupported
from lazyobs.model import Kernel, Sample, points_by_tier
from lazyobs.sources.account import Account, Held
from lazyobs.sources.ledger import LedgerReading
from lazyobs.sources.loading import Loading
from lazyobs.sources.procfs import ProcfsSource
from lazyobs.sources.source import Source, Trace
from lazyobs.text import say
from lazyobs.unix import privileges

if TYPE_CHECKING:
    from lazyobs.bpf.event_stream import EventStream
    from lazyobs.kernel.symbols import Symbols
    from lazyobs.sources.live import LiveSource

_REQUIRED = sum(point.required for point in POINTS)


class ClimbingSource:
    """A Source (sources/source.py). ``why_not_bpf``: why there is no BPF now, "" since there is; ``attached_at``: unix
    time since when the counters count, None before. ``keeps``: capabilities that BPF takes, the others are given up then.
    """

    live = True

    def __init__(self, first: ProcfsSource, loading: Loading, opened: Callable[[Session], LiveSource]) -> None:
        """``opened`` makes the better source."""
        self._now: Source = first
        self._first, self._loading, self._opened = first, loading, opened
        self._failed = ""
        self._began = time.monotonic()
        self.attached_at: float | None = None
        self.keeps: frozenset[int] = frozenset()

    @property
    def is_loading(self) -> bool:
        """Whether the probes may still come."""
        return self.attached_at is None and not self._failed

    @property
    def why_not_bpf(self) -> str:
        if self.attached_at is not None:
            return ""
        return self._failed or self._loading.why_not_yet

    def climb(self) -> str:
        """If the loader has answered since the last call: a line on what it said; "" otherwise."""
        if not self.is_loading:
            return ""
        try:
            session = self._loading.session_within(0)
        except (BpfRefused, NotSupported, OSError) as error:
            self._failed = f"{error.what}: {error.why}" if isinstance(error, BpfRefused | NotSupported) else str(error)
            self._first.set_why(self._failed)
            return self._told(f"no BPF, the tier stays procfs: {self._failed}")
        if session is None:
            self._first.set_why(self.why_not_bpf)
            return ""
        better = self._opened(session)
        better.follow(self._first)
        self._now, self.attached_at = better, session.attached_at
        privileges.keep_capabilities(self.keeps)
        tiers = "; ".join(f"{tier}: {', '.join(points)}" for tier, points in points_by_tier(session.tiers).items())
        return self._told(f"probes attached {time.monotonic() - self._began:.0f} s after the start: {tiers}")

    @staticmethod
    def _told(line: str) -> str:
        say(f"lazyobs: {line}")
        return line

    def read(self) -> Sample:
        self.climb()
        sample = self._now.read()
        if self._failed:
            # Nothing will attach them before the next start, so they are missing and no longer merely not there yet.
            sample.health["probes_missing"] = _REQUIRED
            sample.null_reasons.pop("health.probes_missing", None)
        return sample

    @property
    def kernel(self) -> Kernel:
        return self._now.kernel

    @property
    def tiers(self) -> Mapping[str, str | None]:
        return self._now.tiers

    @property
    def compiler(self) -> str | None:
        return self._now.compiler

    def memory(self) -> Mapping[str, int]:
        return self._now.memory()

    def why_not(self, feature: str) -> str:
        return self._now.why_not(feature)

    def vmas(self, pid: int) -> list[VmaRow]:
        return self._now.vmas(pid)

    def programs(self) -> Sequence[ProgramRuns]:
        return self._now.programs()

    def trace(self, wanted: EventFilter, splats: bool, symbols: Symbols | None = None) -> Trace:
        return self._now.trace(wanted, splats, symbols)

    def events(self) -> EventStream:
        return self._now.events()

    def account(self) -> Account:
        return self._now.account()

    def held(self) -> Held:
        return self._now.held()

    def judge(self, barrier: LedgerReading) -> int | None:
        return self._now.judge(barrier)

    def leave(self) -> None:
        """Closes what this process has of it, after a fork: the other process goes on with it.

        Not ``close``: a process that had to stay root, or the loader's user, could end the loader."""
        if self.is_loading:
            self._loading.leave()
        self._now.close()

    def close(self) -> None:
        if self.is_loading:
            self._loading.close()
        self._now.close()
