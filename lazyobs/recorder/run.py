# SPDX-License-Identifier: MIT
"""A run of ``lazyobs record``, from opening everything as root to the last line.

Everything that needs permissions is opened first; then the process becomes the user `nobody`, with open descriptors
only, and starts to record.
"""

from __future__ import annotations

from lazyobs.bpf.event import KIND_NAMES
from lazyobs.bpf.trace_event import SPLAT
from lazyobs.errors import EXIT_OK, NotSupported
from lazyobs.recorder.identity import identity
from lazyobs.recorder.loop import Loop
from lazyobs.recorder.options import RecordOptions
from lazyobs.recorder.recorder import Climbing, Recorder, Surroundings
from lazyobs.recorder.triggers import LEDGER
from lazyobs.recorder.workload import Workload
from lazyobs.recording import finish
from lazyobs.recording.directory import Directory
from lazyobs.recording.errors import RecordingStopped
from lazyobs.recording.writer import Limits, Store
from lazyobs.sources import sight
from lazyobs.sources.open import Opened, open_live, points_but
from lazyobs.sources.source import Source
from lazyobs.text import say
from lazyobs.unix import memory
from lazyobs.unix.pidfd import ProcessWaiter

_NEXT_STEP = "omit it, or run lazyobs doctor for details"


def run(options: RecordOptions) -> int:
    """Records until the duration is over, the command has ended or a signal comes. Returns the exit code."""
    memory.one_arena()
    sight.refuse_pids(options.events.pids, options.tier)
    ProcessWaiter(
        options.events.pids
    ).close()  # whether any process of -p exists; samples continue after the processes have ended
    directory = Directory(options.directory)
    workload: Workload | None = None
    try:
        workload = Workload(options.command) if options.command else None
        return _record(options, directory, workload)
    except BaseException:
        directory.discard()
        raise
    finally:
        if workload is not None:
            workload.close()


def _record(options: RecordOptions, directory: Directory, workload: Workload | None) -> int:
    around = Surroundings()
    opened = _open(options, directory, around)
    if opened.notice:
        say(opened.notice)
    source = opened.source
    store = Store(
        directory, _identity(options, opened, around), options.interval, around.system.columns, _limits(options)
    )
    if store.note:
        say(f"lazyobs: {store.note}")
    stream = None if source.why_not("events") else source.events()
    climbing = None
    if opened.climbing is not None:
        climbing = Climbing(opened.climbing, options.events.filter, lambda: _identity(options, opened, around))
    recorder = Recorder(
        source, store, around, stream, options.interval, options.barrier or None, options.keep_on, climbing=climbing
    )
    loop = Loop(options, recorder, workload)
    memory.settle()
    memory.forget_code()
    stopped = _run(loop, recorder, store)
    code = _exit_code(stopped, loop, workload)
    late = _end(recorder, store, "stopped" if stopped else "ended")
    if late is not None and stopped is None:
        say(f"lazyobs: {late}")
        code = code or late.exit_code
    source.close()
    around.close()
    loop.say_all()
    return code


def _open(options: RecordOptions, directory: Directory, around: Surroundings) -> Opened:
    """Opens the running kernel. Refusals come while still root, when the directory can still be removed."""

    def accept(opened: Opened) -> None:
        _refuse_what_never_comes(options, _missing(options, opened.source, around))
        directory.give_to_nobody()

    procfs_serves = options.events.kinds is None and not options.keep_on
    return open_live(
        options.profile,
        options.tier,
        points_but("census_vmas"),
        events=True,
        follows=bool(options.command),
        accept=accept,
        procfs_serves=procfs_serves,
        # A command is started when its counts can be known; kinds and triggers are refused now or never; in a pid
        # namespace the pids of /proc are others than those of the probes.
        climbs=procfs_serves and not options.command and sight.sees_every_process(),
        meanwhile=finish.best,  # imports what Store needs
        budget=options.budget,
    )


def _missing(options: RecordOptions, source: Source, around: Surroundings) -> dict[str, str]:
    """{kind of event, or the ledger: why it is not available here}."""
    found = {name: source.why_not(name) for name in (*KIND_NAMES, LEDGER)}
    found[SPLAT] = around.log.why_not
    no_barrier = around.why_not().get("slabs.barrier", "") or ("" if options.barrier else "--barrier 0")
    found[LEDGER] = found[LEDGER] or no_barrier
    return {name: why for name, why in found.items() if why}


def _refuse_what_never_comes(options: RecordOptions, missing: dict[str, str]) -> None:
    """NotSupported for a kind or trigger that was requested by name and can never occur: a user who would wait for
    hours must know at once."""
    for kind in options.events.kinds or ():
        if kind in missing:
            raise NotSupported(f"record -e {kind}", missing[kind], _NEXT_STEP)
    for trigger in options.keep_on:
        why = trigger.why_never(missing, options.events.filter.kinds)
        if why:
            raise NotSupported(f"--keep-on {trigger.name}", f"can never fire: {why}", _NEXT_STEP)


def _identity(options: RecordOptions, opened: Opened, around: Surroundings) -> dict[str, object]:
    source = opened.source
    missing = _missing(options, source, around)
    no_events = {f"events.{kind}": missing[kind] for kind in options.events.filter.kinds if kind in missing}
    kernel = source.kernel
    return {
        **identity(
            kernel.profile,
            kernel.lazy_enabled,
            dict(source.tiers),
            source.compiler,
            whole_cmdline=options.whole_cmdline,
        ),
        "not_recorded": {**around.why_not(), **no_events},
        "no_bpf": (opened.climbing.why_not_bpf if opened.climbing else opened.why_not) or None,
    }


def _limits(options: RecordOptions) -> Limits:
    return Limits(
        segment_bytes=options.segment_bytes or Limits.segment_bytes,
        max_bytes=options.max_bytes,
        max_seconds=options.max_seconds,
    )


def _run(loop: Loop, recorder: Recorder, store: Store) -> RecordingStopped | None:
    """Runs until the recording is over. Returns the error if writing failed, else None."""
    try:
        loop.run()
    except RecordingStopped as error:
        say(f"lazyobs: {error}")
        return error
    except BaseException:
        _end(recorder, store, "failed")
        raise
    return None


def _exit_code(stopped: RecordingStopped | None, loop: Loop, workload: Workload | None) -> int:
    """The command's exit status; waits for it if recording stopped early."""
    code = stopped.exit_code if stopped else EXIT_OK
    if workload is not None and (workload.has_ended() or (stopped is not None and not loop.interrupted)):
        return workload.wait() or code
    return code


def _end(recorder: Recorder, store: Store, how: str) -> RecordingStopped | None:
    """Writes the last mark and finishes the recording. Returns the error if either failed."""
    failure: RecordingStopped | None = None
    try:
        recorder.mark("end", None, how)
    except RecordingStopped as error:  # the disk is completely full: the recording lacks its last line
        failure = error
    try:
        store.close()
    except RecordingStopped as error:
        failure = error
    recorder.progress.bytes = store.bytes
    return failure
