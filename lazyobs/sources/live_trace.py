# SPDX-License-Identifier: MIT
"""The trace of the running kernel: events as they happen, splats, and losses at their place in time."""

from __future__ import annotations

import mmap
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from lazyobs.bpf import event
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.unix.clock import boottime_ns

if TYPE_CHECKING:
    from lazyobs.bpf.event_stream import EventStream
    from lazyobs.bpf.stacks import StackMap
    from lazyobs.kernel.log import Splats
    from lazyobs.kernel.symbols import Symbols

_SECONDS_TO_LOOK = 0.1  # few events do not wake the reader
_SECONDS_TO_LOOK_FOR_STACKS = 0.01  # of which the map keeps the last


class LiveTrace:
    """Reads a started stream and the kernel log. ``lost``: events for which the ring had no room so far."""

    def __init__(
        self, stream: EventStream, splats: Splats | None, stacks: tuple[StackMap, Symbols] | None = None
    ) -> None:
        """``splats`` None: without splats; ``stacks`` None: without stacks of lock waits."""
        self._stream, self._splats, self._stacks = stream, splats, stacks
        self.lost = 0

    def read(self, seconds: float) -> list[TraceEvent]:
        """The new events; if there are none yet, waits for at most ``seconds``."""
        ring = self._stream.ring
        values = ring.read()
        if not values:
            ring.wait(min(seconds, _SECONDS_TO_LOOK if self._stacks is None else _SECONDS_TO_LOOK_FOR_STACKS))
            values = ring.read()
        real = time.time_ns()
        offset = real - boottime_ns()
        found = [self._event(event.Event._make(one), offset) for one in self._stream.chosen(values)]
        lost = self._stream.lost()
        if lost > self.lost:
            found.append(TraceEvent.lost(real / 1e9, lost - self.lost))
            self.lost = lost
        lines = self._splats.read() if self._splats is not None else []
        found += [TraceEvent.splat(real / 1e9, line.kind, line.text) for line in lines if line.kind]
        return found

    def _event(self, record: event.Event, offset: int) -> TraceEvent:
        shown = TraceEvent.of_event(record, offset, mmap.PAGESIZE)
        if self._stacks is None or record.kind != event.LOCK_WAIT:
            return shown
        stacks, symbols = self._stacks
        found = stacks.of(record)
        return replace(shown, waiter_stack=_named(found.waiter, symbols), holder_stack=_named(found.holder, symbols))

    def close(self) -> None:
        """Does nothing: the source owns the stream and the log and closes them."""


# What a probe puts on the stack of the task that it looks at.
_OF_PROBES = ("bpf_", "__bpf_", "__traceiter_", "trace_call_bpf", "perf_trace_", "__perf_", "kprobe_", "arch_ftrace_")


def _named(addresses: tuple[int, ...], symbols: Symbols) -> tuple[str, ...] | None:
    """The frames below the probe; None where there is no stack. Outside of the kernel's own text an address is "?": it
    is never shown, as it would tell where the kernel lies."""
    names = [symbols.name(address) for address in addresses]
    while names and (names[0] is None or names[0].startswith(_OF_PROBES)):
        names.pop(0)
    return tuple(name or "?" for name in names) or None
