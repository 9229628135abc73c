# SPDX-License-Identifier: MIT
"""The recorder: writes a sample and its related data at every tick, and events between ticks.

A tick's sample is written last: if the recording has it, it has everything that belongs to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lazyobs.bpf import event
from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.event_stream import EventStream
from lazyobs.bpf.ring import STRIDE
from lazyobs.kernel.log import KernelLog, LogLine, Splats
from lazyobs.kernel.slab import Slabinfo
from lazyobs.kernel.slab_barrier import SlabBarrier
from lazyobs.model import Sample
from lazyobs.recorder.barriers import Barriers
from lazyobs.recorder.gaps import Clocks, GapFinder
from lazyobs.recorder.system import System
from lazyobs.recorder.triggers import Tick, Trigger, Watch
from lazyobs.recording import samples
from lazyobs.recording.events import event_rows, log_rows
from lazyobs.recording.writer import Store
from lazyobs.sources import budget
from lazyobs.sources.climbing import ClimbingSource
from lazyobs.sources.live import LiveSource
from lazyobs.sources.source import Source

EVENTS_A_BATCH = 1 << 16
_RMAP_WALK = event.KIND_NAMES.index("rmap_walk")


class Surroundings:
    """The inputs besides the source. Opened as root; read without privileges."""

    def __init__(self, proc_root: str = "/proc", sys_root: str = "/sys", kmsg: str = "/dev/kmsg") -> None:
        self.system = System(proc_root)
        self.log = KernelLog(kmsg)
        self.splats = Splats(self.log)
        self.slabinfo = Slabinfo(proc_root, sys_root)
        self.barrier = SlabBarrier(sys_root)

    def why_not(self) -> dict[str, str]:
        """{missing input: why}."""
        missing = {f"system.{name}": why for name, why in self.system.why_not.items()}
        if self.log.why_not:
            missing["kernel_log"] = self.log.why_not
        if self.slabinfo.why_not or self.barrier.why_not:
            missing["slabs.barrier"] = self.slabinfo.why_not or self.barrier.why_not
        return missing

    def close(self) -> None:
        for part in (self.system, self.log, self.slabinfo, self.barrier):
            part.close()


@dataclass(frozen=True)
class Climbing:
    """A source that may get better while it is recorded: then events that pass ``filter`` are recorded too, and
    ``identity`` says again what the recording is of."""

    source: ClimbingSource
    filter: EventFilter
    identity: Callable[[], dict[str, Any]]


@dataclass
class Progress:
    """Counts of what was written; ``lost`` events were counted but not written."""

    samples: int = 0
    events: int = 0
    lost: int = 0
    bytes: int = 0


class Recorder:
    """Writes what ``source``, ``surroundings`` and ``stream`` give to ``store``."""

    def __init__(
        self,
        source: Source,
        store: Store,
        surroundings: Surroundings,
        stream: EventStream | None,
        interval: float,
        barrier_seconds: float | None = None,
        triggers: Sequence[Trigger] = (),
        read_clocks: Callable[[], Clocks] = Clocks.now,
        climbing: Climbing | None = None,
    ) -> None:
        """``interval``: seconds between ticks; ``barrier_seconds``: between barrier samples, None for none.
        ``stream`` is the source's stream, already started, or None to record no events."""
        self._source, self._store, self._around, self.stream = source, store, surroundings, stream
        self._climbing = climbing
        self._clocks = read_clocks
        self._gaps = GapFinder(interval, read_clocks)
        self._barriers = self._new_barriers() if barrier_seconds else None
        self._barrier_ns = round((barrier_seconds or 0) * 1e9)
        self._barrier_due = read_clocks().monotonic
        self._watch = Watch(triggers)
        self._longest_walk: float | None = None
        self._log_lost = self._violations = 0
        self._shed: list[str] = []
        self.progress = Progress()
        self.last: Sample | None = None

    def begin_command(self, pid: int) -> None:
        """From now on samples tell what that process and all that it starts do from what the system does."""
        if isinstance(self._source, LiveSource):
            self._source.begin_command(pid)

    def drain(self) -> None:
        """Writes the waiting events, at most one full ring: a storm of events must not delay the next tick.

        RecordingStopped when they cannot be written.
        """
        if self.stream is None:
            return
        clocks = self._clocks()
        records = bytearray()
        left = self.stream.ring.size // STRIDE
        while left > 0 and (found := self.stream.ring.read_records()):
            left -= len(found) // event.BYTES
            records += self.stream.chosen_of(found)
            if len(records) >= EVENTS_A_BATCH * event.BYTES:
                self._write_events(records, clocks)
                records = bytearray()
        if records:
            self._write_events(records, clocks)
        lost = self.stream.lost()
        if lost > self.progress.lost:
            self._mark(clocks, "lost", lost - self.progress.lost, "events for which the ring had no room")
            self.progress.lost = lost

    def _write_events(self, records: bytearray, clocks: Clocks) -> None:
        self._store.append("events", event_rows(records, clocks.real - clocks.boot))
        self.progress.events += len(records) // event.BYTES
        longest = event.longest(records, _RMAP_WALK)
        if longest is not None:
            self._longest_walk = max(self._longest_walk or 0.0, longest / 1e9)

    def tick(self) -> None:
        """Writes a sample and everything that belongs to it. RecordingStopped when they cannot be written."""
        number = self.progress.samples + 1
        lost_before, self._longest_walk = self.progress.lost, None
        gaps = self._gaps.look()
        clocks = self._clocks()
        self._climb(clocks)
        for gap in gaps:
            self._mark(clocks, gap.kind, gap.seconds, gap.text)
        self.drain()
        log = self._log(clocks)
        self.last = sample = self._source.read()
        self._mark_shed(clocks, sample)
        self._write_sample(number, clocks, sample)
        tick = Tick(sample, log, self.progress.lost - lost_before, self._longest_walk, self._broken(sample))
        for trigger, value in self._watch.look(tick):
            kept = self._store.keep(f"{trigger.name} {value:g}")
            self._mark(
                clocks,
                "trigger",
                value,
                trigger.name if kept else f"{trigger.name}; the limit of kept incidents is reached",
            )
        self._store.maintain()

    def measure(self) -> None:
        """Brings ``progress.bytes`` up to date, which takes a look at each file: for those who show it."""
        self.progress.bytes = self._store.bytes

    def _new_barriers(self) -> Barriers:
        return Barriers(self._source, self._around.slabinfo, self._around.barrier)

    def _climb(self, clocks: Clocks) -> None:
        """Looks for probes that were not attached at the start."""
        if self._climbing is None or not (told := self._climbing.source.climb()):
            return
        self._mark(clocks, "tier", None, told)
        self._store.describe(self._climbing.identity())
        if not self._source.why_not("events"):
            self.stream = self._source.events()
            self.stream.begin(self._climbing.filter)
        self._barriers = self._new_barriers() if self._barriers else None
        self._climbing = None

    def _mark_shed(self, clocks: Clocks, sample: Sample) -> None:
        """Where the budget sheds more or less than at the sample before."""
        shed = budget.shed_words(sample.health)
        if shed != self._shed:
            self._shed = shed
            self._mark(clocks, "shed", len(shed), f"budget: {', '.join(shed) or 'nothing'} shed")

    def _log(self, clocks: Clocks) -> list[LogLine]:
        """Writes the kernel log lines since the last tick, and returns them."""
        found = self._around.splats.read()
        self._store.append("kernel_log", log_rows(clocks.real / 1e9, clocks.boot, found))
        lost = self._around.log.lost
        if lost > self._log_lost:
            self._mark(clocks, "log_lost", lost - self._log_lost, "kernel log lines overwritten")
            self._log_lost = lost
        return found

    def _write_sample(self, number: int, clocks: Clocks, sample: Sample) -> None:
        for part, why in sample.failed.items():
            self._mark(clocks, "failed", None, f"{part}: {why}")
        self._store.append("slabs", samples.slab_rows(number, sample.time, sample.slabs, barrier=False))
        self._barrier(number, clocks)
        system = self._around.system
        self._store.append("system", samples.system_row(number, sample.time, system.columns, system.read()))
        self._store.append("processes", samples.process_rows(number, sample.processes))
        self._store.append("samples", samples.sample_row(number, self._stamp(sample, clocks), sample))
        self.progress.samples = number

    def _stamp(self, sample: Sample, before: Clocks) -> int:
        """CLOCK_BOOTTIME of the sample's instant: on a loaded machine seconds lie between the tick's begin and it."""
        now = self._clocks()
        ago = now.real - round(sample.time * 1e9)
        return now.boot - ago if 0 <= ago <= now.boot - before.boot else before.boot

    def _broken(self, sample: Sample) -> int | None:
        """Number of invariant violations since the last tick; None where no invariant can be watched."""
        violations: int | None = sample.totals.get("violations")
        broken = None if violations is None else violations - self._violations
        self._violations = violations or 0
        return broken

    def _barrier(self, number: int, clocks: Clocks) -> None:
        """If a barrier reading is due: writes what it counted, and a mark if the ledger does not hold."""
        if self._barriers is None or clocks.monotonic < self._barrier_due:
            return
        self._barrier_due = clocks.monotonic + self._barrier_ns
        found = self._barriers.read(clocks.monotonic / 1e9)
        if found is None:
            return
        self._store.append(
            "slabs", samples.slab_rows(number, time.time(), found.slabs, barrier=True, more=found.orphans)
        )
        if found.lost:
            self._mark(clocks, "violation", found.lost, "ledger: live anon_vmas that no VMA holds, and that stay")

    def _mark(self, clocks: Clocks, kind: str, value: float | None, text: str) -> None:
        self._store.append(
            "marks",
            {"time": [clocks.real / 1e9], "stamp": [clocks.boot], "kind": [kind], "value": [value], "text": [text]},
        )

    def mark(self, kind: str, value: float | None, text: str) -> None:
        """Records an outside event: the workload started or ended, or the recording ends."""
        self._mark(self._clocks(), kind, value, text)
