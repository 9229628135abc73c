# SPDX-License-Identifier: MIT
"""``lazyobs trace``"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lazyobs.commands.event_options import NAMES, SPLAT, filtering, make_filter, span
from lazyobs.commands.options import common, pids_of, points_but
from lazyobs.commands.replay_options import check_replay, replaying
from lazyobs.errors import NotSupported
from lazyobs.sources.why_not import events_missing
from lazyobs.text import plural
from lazyobs.unix.pidfd import ProcessWaiter

if TYPE_CHECKING:
    from lazyobs.bpf.event_filter import EventFilter
    from lazyobs.bpf.trace_event import TraceEvent
    from lazyobs.kernel.log import KernelLog
    from lazyobs.sources.live import LiveSource


@click.command()
@common
@filtering
@click.option("-p", "pids", callback=pids_of, metavar="PID,..", help="Only these processes.")
@click.option("-n", "count", type=click.IntRange(min=1), help="End after so many events.")
@click.option("--duration", callback=span, metavar="TIME", help="End after that time (90, 15m).")
@replaying
def trace(
    output: str,
    profile: Path | None,
    tier: str | None,
    verbose: bool,
    kinds: tuple[str, ...] | None,
    min_us: float | None,
    comm: str | None,
    pids: tuple[int, ...],
    count: int | None,
    duration: float | None,
    replay: Path | None,
    speed: float | None,
) -> None:
    """Events as they happen, one a line; what was lost is told where it was. With -p until those have ended."""
    check_replay()
    wanted = make_filter(kinds, min_us, pids, comm)
    splats = SPLAT in (kinds or NAMES) and not pids and comm is None
    shown = _Shown(output, count)
    try:
        if replay is not None:
            shown.all_of(_replayed(replay, wanted, splats, speed))
        else:
            shown.all_of(_live(profile, tier, kinds, wanted, splats, duration))
    except KeyboardInterrupt:
        pass
    finally:
        shown.say_how_many()


class _Shown:
    """Writes trace_events and counts them; the head of the output comes with the first reading."""

    def __init__(self, output: str, most: int | None) -> None:
        self._output, self._most = output, most
        self._begun = False
        self._events = self._lost = 0

    def all_of(self, readings: Iterator[list[TraceEvent]]) -> None:
        from lazyobs.views.trace import Writer

        writer = None
        for trace_events in readings:
            writer = writer or Writer(self._output)
            self._begun = True
            for trace_event in trace_events:
                writer.write(trace_event)
                if trace_event.kind == "lost":
                    self._lost += trace_event.objects or 0
                    continue
                self._events += 1
                if self._events == self._most:
                    writer.flush()
                    return
            writer.flush()

    def say_how_many(self) -> None:
        if self._begun:
            print(f"lazyobs: {self._events} {plural(self._events, 'event')}, {self._lost} lost", file=sys.stderr)


def _replayed(path: Path, wanted: EventFilter, splats: bool, speed: float | None) -> Iterator[list[TraceEvent]]:
    from lazyobs.recording.reader import Recording
    from lazyobs.recording.trace import recorded

    pace = speed or (1.0 if sys.stdout.isatty() else math.inf)
    recording = Recording(str(path))
    begun, first = time.monotonic(), None
    for trace_event in recorded(recording, wanted, splats):
        first = trace_event.time if first is None else first
        wait = begun + (trace_event.time - first) / pace - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        yield [trace_event]
    yield []  # the last reading of one in which nothing passes is the first as well
    recording.close()


def _live(
    profile: Path | None,
    tier: str | None,
    kinds: tuple[str, ...] | None,
    wanted: EventFilter,
    splats: bool,
    duration: float | None,
) -> Iterator[list[TraceEvent]]:
    from lazyobs.sources.live import LiveSource
    from lazyobs.sources.open import open_live

    logs: list[KernelLog] = []
    watched = ProcessWaiter(wanted.pids)

    def open_the_rest() -> None:
        from lazyobs.kernel.log import KernelLog

        # Imported while that is still allowed: nobody may not be able to read where they lie.
        from lazyobs.sources import live_trace  # noqa: F401
        from lazyobs.views import trace as view  # noqa: F401

        if splats and not logs:
            logs.append(KernelLog())

    points = points_but("census", "census_vmas")
    opened = open_live(profile, tier, points, meanwhile=open_the_rest, events=True, procfs_serves=False)
    if not isinstance(opened.source, LiveSource):
        raise NotSupported("trace", f"needs BPF: {opened.why_not}", "see lazyobs doctor, or trace --replay a recording")
    _say_what_is_missing(opened.source, kinds, logs)
    from lazyobs.sources.live_trace import LiveTrace

    source = LiveTrace(opened.source.session, wanted, logs[0] if logs else None)
    ends = math.inf if duration is None else time.monotonic() + duration
    try:
        while (left := ends - time.monotonic()) > 0:
            over = watched.have_ended()  # asked before the reading: what they did last is still in the ring
            found = source.read(left)
            yield found
            if over and not found:
                return
        yield source.read(0)
    finally:
        watched.close()
        source.close()
        opened.source.close()


def _say_what_is_missing(source: LiveSource, kinds: tuple[str, ...] | None, logs: list[KernelLog]) -> None:
    """One line for each kind that this kernel cannot give; NotSupported when there is none left."""
    asked = kinds or NAMES
    missing = events_missing(source.session, source.facts.profile)
    reasons = {kind: why for kind, why in missing.items() if kind in asked}
    if logs and logs[0].why_not:
        reasons[SPLAT] = logs[0].why_not
    if kinds is not None and all(kind in reasons for kind in kinds):
        kind = kinds[0]
        raise NotSupported(f"trace -e {','.join(kinds)}", f"{kind}: {reasons[kind]}", "run lazyobs doctor for more")
    for kind, why in reasons.items():
        if kinds is not None:
            print(f"lazyobs: no {kind} events: {why}", file=sys.stderr)
    if kinds is None and reasons:
        print(f"lazyobs: not on this kernel: {', '.join(reasons)}; run lazyobs doctor for more", file=sys.stderr)
