# SPDX-License-Identifier: MIT
"""One run of ``lazyobs record``, from opening everything while root to the last line.

What needs permissions is opened first; the process is nobody, with descriptors only, before anything is
recorded.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lazyobs.bpf.event import KIND_NAMES
from lazyobs.bpf.event_counts import EventCounts
from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.maps import possible_cpus
from lazyobs.bpf.ring import Ring
from lazyobs.errors import EXIT_OK, NotSupported
from lazyobs.kernel.facts import lazy_switch
from lazyobs.recorder import triggers
from lazyobs.recorder.identity import identity
from lazyobs.recorder.recorder import EventReader, Recorder, Surroundings
from lazyobs.recorder.workload import Workload
from lazyobs.recording.directory import Directory
from lazyobs.recording.errors import RecordingStopped
from lazyobs.recording.writer import Limits, Store
from lazyobs.sources.live import LiveSource
from lazyobs.sources.open import Opened, open_live
from lazyobs.sources.why_not import events_missing, unwatched
from lazyobs.text import plural, printable, size
from lazyobs.unix.pidfd import ProcessWaiter

_SECONDS_TO_DRAIN = 1.0  # events lie in the ring no longer than that


@dataclass
class RecordOptions:
    """What the command line asks for; seconds, bytes, None for no limit."""

    directory: str
    interval: float
    duration: float | None = None
    barrier: float | None = None
    max_bytes: int | None = None
    max_seconds: float | None = None
    segment_bytes: int = Limits.segment_bytes
    keep_on: tuple[str, ...] = ()
    kinds: tuple[str, ...] | None = None  # of events asked for by name, splat among them
    event_filter: EventFilter = field(default_factory=EventFilter)
    progress: str = "text"
    profile: Path | None = None
    tier: str | None = None
    points: tuple[str, ...] | None = None
    command: tuple[str, ...] = ()
    notice: Callable[[str], str] = lambda why_not: why_not


def run(options: RecordOptions) -> int:
    """Records until the time is over, the command has ended or a signal comes; the exit code."""
    chosen = [triggers.parse(text) for text in options.keep_on]
    ProcessWaiter(options.event_filter.pids).close()  # whether any is there; samples go on when they have ended
    directory = Directory(options.directory)
    workload: Workload | None = None
    try:
        workload = Workload(options.command) if options.command else None
        return _run(options, chosen, directory, workload)
    except BaseException:
        directory.discard()
        raise
    finally:
        if workload is not None:
            workload.close()


def _run(
    options: RecordOptions, chosen: list[triggers.Trigger], directory: Directory, workload: Workload | None
) -> int:
    surroundings: list[Surroundings] = []
    missing: dict[str, str] = {}

    def open_the_rest() -> None:
        if not surroundings:  # it is called again where the first tier did not work out
            surroundings.append(Surroundings())

    def accept(opened: Opened) -> None:
        missing.update(_missing(opened, surroundings[0], options))
        _refuse_what_never_comes(options, chosen, missing)
        directory.give_to_nobody()  # from here on it cannot be taken away again

    opened = open_live(
        options.profile,
        options.tier,
        options.points,
        meanwhile=open_the_rest,
        events=True,
        accept=accept,
        procfs_serves=options.kinds is None and not chosen,
    )
    if opened.why_not:
        print(options.notice(opened.why_not), file=sys.stderr)
    around = surroundings[0]
    store = Store(
        directory,
        _identity(
            opened, around, {f"events.{kind}": missing[kind] for kind in options.event_filter.kinds if kind in missing}
        ),
        options.interval,
        around.system.columns,
        Limits(segment_bytes=options.segment_bytes, max_bytes=options.max_bytes, max_seconds=options.max_seconds),
    )
    events = _events(opened)
    recorder = Recorder(opened.source, store, around, events, options.interval, options.barrier, chosen)
    loop = _Loop(options, recorder, events, workload)
    stopped: RecordingStopped | None = None
    try:
        if events is not None and isinstance(opened.source, LiveSource):
            options.event_filter.apply(opened.source.session)
        loop.run()
    except RecordingStopped as error:
        stopped = error
        print(f"lazyobs: {error}", file=sys.stderr)
    except BaseException:
        _end(recorder, store, "failed")
        raise
    code = stopped.exit_code if stopped else EXIT_OK
    if workload is not None and (workload.has_ended() or (stopped is not None and not loop.interrupted)):
        code = workload.wait() or code
    _end(recorder, store, "stopped" if stopped else "ended")
    opened.source.close()
    around.close()
    loop.say_all(options.directory)
    return code


def _events(opened: Opened) -> EventReader | None:
    if not isinstance(opened.source, LiveSource) or "events" not in opened.source.session.maps:
        return None
    maps = opened.source.session.maps
    return EventReader(Ring(maps["events"]), EventCounts(maps["event_counts"], possible_cpus()))


def _missing(opened: Opened, around: Surroundings, options: RecordOptions) -> dict[str, str]:
    """{kind of event, or the ledger: why there is none here}."""
    source = opened.source
    if isinstance(source, LiveSource):
        found = events_missing(source.session, source.facts.profile)
        ledger = unwatched(source.session, source.facts.profile).get(triggers.LEDGER, "")
    else:
        found = dict.fromkeys(KIND_NAMES, opened.why_not)
        ledger = opened.why_not
    if around.log.why_not:
        found[triggers.SPLAT] = around.log.why_not
    ledger = ledger or around.why_not().get("slabs.barrier", "") or ("--barrier 0" if options.barrier is None else "")
    return {**found, triggers.LEDGER: ledger} if ledger else found


def _refuse_what_never_comes(options: RecordOptions, chosen: list[triggers.Trigger], missing: dict[str, str]) -> None:
    """NotSupported where something was asked for by name: whoever waits for it for hours must know at once."""
    for kind in options.kinds or ():
        if kind in missing:
            raise NotSupported(f"record -e {kind}", missing[kind], "leave it out; lazyobs doctor says more")
    for trigger in chosen:
        why = trigger.why_never(missing, options.event_filter.kinds)
        if why:
            raise NotSupported(
                f"--keep-on {trigger.name}", f"can never fire: {why}", "leave it out; lazyobs doctor says more"
            )


def _identity(opened: Opened, around: Surroundings, no_events: dict[str, str]) -> dict[str, object]:
    source = opened.source
    if isinstance(source, LiveSource):
        profile, tiers = source.facts.profile, source.session.tiers
        found = identity(profile.name, lazy_switch(profile), tiers, source.session.compiler)
    else:
        found = identity(source.profile.name, lazy_switch(source.profile), {"census": "procfs"}, None)
    return {**found, "not_recorded": {**around.why_not(), **no_events}, "no_bpf": opened.why_not or None}


def _end(recorder: Recorder, store: Store, how: str) -> None:
    try:
        recorder.mark("end", None, how)
    except RecordingStopped:
        pass  # full to the last byte: the recording ends without its last line
    store.close()


class _Loop:
    """Waits for ticks, events, signals and the workload's end. ``interrupted``: ended by a signal."""

    def __init__(
        self, options: RecordOptions, recorder: Recorder, events: EventReader | None, workload: Workload | None
    ) -> None:
        self._options, self._recorder, self._events, self._workload = options, recorder, events, workload
        self._signals = 0
        self._begun = time.monotonic()
        self._screen = options.progress == "text" and sys.stderr.isatty()
        self._woken, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    @property
    def interrupted(self) -> bool:
        return self._signals > 0 and (self._workload is None or not self._workload.has_ended())

    def run(self) -> None:
        """RecordingStopped when nothing more can be written."""
        before = {number: signal.signal(number, self._signal) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}  # fmt: skip
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        woken_before = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        try:
            self._run()
        finally:
            signal.set_wakeup_fd(woken_before)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _signal(self, number: int, _frame: object) -> None:
        # A terminal gives Ctrl-C to the command too: the first one is the command's to act on.
        self._signals += 1 if number == signal.SIGINT and self._workload is not None else 2

    def _run(self) -> None:
        self._tick()
        if self._workload is not None:
            self._recorder.mark("command", None, " ".join(self._workload.command))
            self._workload.begin()
        due = self._begun + self._options.interval
        while not self._over():
            self._wait(due)
            now = time.monotonic()
            if now >= due:
                self._tick()
                due = max(due + self._options.interval, now)
            else:
                self._recorder.drain()
        if self._workload is not None and self._workload.status is not None:
            self._recorder.mark("command_end", self._workload.status, "exit status")
        self._tick()

    def _over(self) -> bool:
        if self._workload is not None and self._workload.has_ended():
            return True
        if self._signals > 1:
            return True
        duration = self._options.duration
        return duration is not None and time.monotonic() - self._begun >= duration

    def _wait(self, due: float) -> None:
        now = time.monotonic()
        until = min(due, now + _SECONDS_TO_DRAIN)
        if self._options.duration is not None:
            until = min(until, self._begun + self._options.duration)
        readable: list[int] = [self._woken]
        if self._events is not None:
            readable.append(self._events.ring.fileno())
        ready, _, _ = select.select(readable, [], [], max(0.0, until - now))
        if self._woken in ready:
            os.read(self._woken, 512)

    def _tick(self) -> None:
        self._recorder.tick()
        done = self._recorder.progress
        if self._options.progress == "json":
            self._say(json.dumps(vars(done)))
        elif self._screen:
            print(f"\r{self._line()}\x1b[K", end="", file=sys.stderr, flush=True)

    def _say(self, line: str) -> None:
        try:
            print(line, flush=True)
        except BrokenPipeError:  # nobody listens any more; the recording goes on
            self._options.progress = "none"
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _line(self) -> str:
        seconds = int(time.monotonic() - self._begun)
        done = self._recorder.progress
        return (
            f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}  {size(done.bytes)}  "
            f"{done.samples} {plural(done.samples, 'sample')}  {done.events} {plural(done.events, 'event')}  {done.lost} lost"
        )

    def say_all(self, directory: str) -> None:
        """The last line: what there is now."""
        if self._options.progress == "text":
            print(f"{chr(13) if self._screen else ''}{printable(directory)}: {self._line()}", file=sys.stderr)
