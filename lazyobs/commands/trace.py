# SPDX-License-Identifier: MIT
"""``lazyobs trace``

An event goes from its source (the ring, or a file of the recording) through ``Source.trace`` to an output line, on
the same path for both: ``trace`` -> ``_live`` or ``_recorded`` -> ``_Shown`` -> views/trace.py.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from lazyobs.bpf import optional
from lazyobs.bpf.features import HOLDER_STACKS
from lazyobs.bpf.trace_event import LOCK_WAIT, TraceEvent
from lazyobs.commands.event_options import EVENT_OPTIONS
from lazyobs.commands.options import COMMON, ProbeOptions, Whole, check_pids, collected, pids_option, span
from lazyobs.commands.replay_options import REPLAY_OPTIONS, ReplayOptions, check_replay, open_recorded_events
from lazyobs.errors import NotSupported, UsageError
from lazyobs.preload import preload
from lazyobs.sources.event_choice import EventChoice
from lazyobs.sources.open import open_live, points_but
from lazyobs.sources.sight import refuse_pids
from lazyobs.text import plural, say
from lazyobs.unix import interrupt
from lazyobs.unix.pidfd import ProcessWaiter

if TYPE_CHECKING:
    from lazyobs.kernel.symbols import Symbols
    from lazyobs.recording.replay import ReplaySource
    from lazyobs.sources.source import Source
    from lazyobs.views.trace import Writer


@dataclass(frozen=True)
class TraceCommand:
    """``count``: maximum number of events to show; ``duration``: seconds; None for no limit."""

    output: str
    probes: ProbeOptions
    events: EventChoice
    recorded: ReplayOptions
    count: int | None
    duration: float | None
    stacks: bool


@click.command()
@COMMON
@EVENT_OPTIONS
@pids_option()
@click.option("-n", "--count", "count", type=Whole(min=1), metavar="N", help="Stop after this many events.")
@click.option(
    "--duration", callback=span, metavar="TIME", help="Stop after this time (90, 15m); with --replay, of recorded time."
)
@click.option(
    "--stacks",
    is_flag=True,
    help="With each lock wait the kernel stacks of both sides; see --min-us. That of the holder needs the probe point holds, which is attached.",
)
@REPLAY_OPTIONS
@collected(TraceCommand)
def trace(asked: TraceCommand) -> None:
    """Print events as they happen, one per line; losses appear at their place. With -p, until those processes end."""
    check_replay()
    shown = _Shown(asked.output, asked.count)
    if asked.stacks and (why := _why_no_stacks(asked)):
        raise UsageError("trace --stacks", *why)
    replay = asked.recorded.replay
    try:
        shown.all_of(_live(asked) if replay is None else _recorded(open_recorded_events(replay), asked))
    except KeyboardInterrupt:
        interrupt.taken()
    finally:
        shown.end(asked.stacks)


class _Shown:
    """Writes trace events; the header is printed with the first reading."""

    def __init__(self, output: str, most: int | None) -> None:
        self._output, self._most = output, most
        self._writer: Writer | None = None

    def all_of(self, readings: Iterator[list[TraceEvent]]) -> None:
        from lazyobs.views.trace import Writer

        for trace_events in readings:
            writer = self._writer = self._writer or Writer(self._output)
            for trace_event in trace_events:
                writer.write(trace_event)
                if writer.counted.events == self._most:
                    writer.flush()
                    return
            writer.flush()

    def end(self, stacks: bool) -> None:
        """Prints what an interruption left, and says how many events there were."""
        if self._writer is None:
            return
        with contextlib.suppress(BrokenPipeError):  # who read them has seen enough
            self._writer.flush()
        found = self._writer.counted
        lost = f"{'more than ' * found.lost_more}{found.lost} lost"
        say(f"lazyobs: {found.events} {plural(found.events, 'event')}, {lost}")
        if found.waits and stacks:
            sides = f"{found.no_waiter} without the stack of the waiter, {found.no_holder} without that of the holder"
            say(f"lazyobs: of {found.waits} lock {plural(found.waits, 'wait')} {sides}")


def _recorded(source: ReplaySource, asked: TraceCommand) -> Iterator[list[TraceEvent]]:
    """Yields readings of one event, each at its time, until the duration of recorded time is over; the last reading is
    empty."""
    pace = asked.recorded.pace(sys.stdout.isatty())
    trace_of_all = source.trace(asked.events.filter, asked.events.splats)
    begun, first = time.monotonic(), None
    recording_begun = None if asked.duration is None else source.begun
    try:
        while True:
            found = trace_of_all.read(0)
            first = found[0].time if first is None else first
            if asked.duration is not None and found[0].time >= (recording_begun or first) + asked.duration:
                raise EOFError
            wait = begun + (found[0].time - first) / pace - time.monotonic()
            interrupt.sleep(wait)
            yield found
    except EOFError:
        yield []  # if no event passes the filter, the last reading is also the first
    finally:
        source.close()


def _live(asked: TraceCommand) -> Iterator[list[TraceEvent]]:
    """Yields the events since the last reading, until the duration is over or the processes of -p have ended."""
    refuse_pids(asked.events.pids, asked.probes.tier)
    check_pids(asked.events.pids)
    watched = ProcessWaiter(asked.events.pids)
    symbols = _symbols() if asked.stacks else None
    opened = open_live(
        asked.probes.profile,
        asked.probes.tier,
        points_but("census", "census_vmas"),
        meanwhile=preload("lazyobs.views.trace"),
        events=True,
        splats=asked.events.splats,
        procfs_serves=False,
    )
    source = opened.source
    if why := source.why_not("events"):
        raise NotSupported("trace", f"needs BPF: {why}", "see lazyobs doctor, or trace --replay a recording")
    _say_what_is_missing(asked.events, source)
    if asked.stacks and (why := source.why_not(HOLDER_STACKS)):
        say(f"lazyobs: no stacks of the tasks that have the lock: {why}")
    events = source.trace(asked.events.filter, asked.events.splats, symbols)
    ends = math.inf if asked.duration is None else time.monotonic() + asked.duration
    try:
        while (left := ends - time.monotonic()) > 0:
            over = watched.have_ended()  # checked before the reading: their last events are still in the ring
            found = events.read(left)
            yield found
            if over and not found:
                return
        yield events.read(0)
    finally:
        watched.close()
        events.close()
        source.close()


def _why_no_stacks(asked: TraceCommand) -> tuple[str, str] | None:
    """What is wrong with asking for them, and what to do."""
    if asked.recorded.replay is not None:
        return "no recording has them", "trace the running kernel"
    if asked.events.kinds is not None and LOCK_WAIT not in asked.events.kinds:
        return f"only lock waits have them, and -e names {','.join(asked.events.kinds)}", f"add {LOCK_WAIT} to -e"
    return None


def _symbols() -> Symbols:
    """Read while this process may; NotSupported where it may not. The point of holds will be attached."""
    from lazyobs.kernel.facts import way_to_addresses
    from lazyobs.kernel.symbols import Symbols

    what = "trace --stacks"
    try:
        found = Symbols.read()
    except OSError as error:
        raise NotSupported(what, f"/proc/kallsyms: {error.strerror}", "trace without --stacks") from None
    if found.hidden:
        raise NotSupported(what, f"/proc/kallsyms hides the addresses: {way_to_addresses()}", "trace without --stacks")
    optional.ask_for("holds")
    return found


def _say_what_is_missing(choice: EventChoice, source: Source) -> None:
    """Prints a line for each kind that this kernel cannot provide; NotSupported if no kind remains."""
    missing = choice.missing(source)
    if choice.kinds is None:
        if missing:
            say(f"lazyobs: not on this kernel: {', '.join(missing)}; run lazyobs doctor for more")
        return
    if all(kind in missing for kind in choice.kinds):
        kind = choice.kinds[0]
        what = f"trace -e {','.join(choice.kinds)}"
        raise NotSupported(what, f"{kind}: {missing[kind]}", "run lazyobs doctor for more")
    for kind, why in missing.items():
        say(f"lazyobs: no {kind} events: {why}")
