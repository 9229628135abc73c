# SPDX-License-Identifier: MIT
"""One line of a trace, wherever it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from lazyobs.bpf import event
from lazyobs.text import c_string, plural

# Kinds that are no events of the probes.
LOST, SPLAT = "lost", "splat"
LOCK_WAIT = event.KIND_NAMES[event.LOCK_WAIT]


@dataclass(frozen=True)
class TraceEvent:
    """A line of the trace. ``time`` is unix seconds; what does not apply, or is not known, is None."""

    time: float
    kind: str
    detail: str | None = None  # reason or walker; of a splat its kind
    pid: int | None = None
    tid: int | None = None
    start_time: float | None = None  # unix seconds, with pid the identity of the process
    comm: str | None = None
    cpu: int | None = None
    duration_seconds: float | None = None
    objects: int | None = None
    address: int | None = None
    bytes: int | None = None
    text: str | None = None
    family: int | None = None  # of a lock wait: Family.number
    # The process that had the lock for writing when the wait began, and what it was about (LOCK_PATHS).
    holder_pid: int | None = None
    holder_path: str | None = None
    # Of a fork: the child's pid, the VMAs that were copied for it, the threads of its parent.
    child: int | None = None
    vmas: int | None = None
    threads: int | None = None
    # Of a lock wait, with --stacks: "function+0x1f", innermost first.
    waiter_stack: tuple[str, ...] | None = None
    holder_stack: tuple[str, ...] | None = None

    @classmethod
    def of_event(cls, record: event.Event, offset: int, page: int) -> TraceEvent:
        """``offset`` makes boot-time stamps unix time (ns); ``page`` is the page size in bytes."""
        kind = event.KINDS[record.kind]
        is_fork = record.kind == event.FORK
        forked = record.address if is_fork else 0  # 0: recorded by 0.1.0, which did not have it
        known = record.duration != event.UNKNOWN
        objects = record.objects if record.objects != event.UNKNOWN else None
        waited = record.kind == event.LOCK_WAIT
        paths = ("", *kind.details) if waited else ()
        return cls(
            time=round((record.stamp + offset) / 1e9, 9),
            kind=kind.name,
            detail=kind.details[record.detail] if record.detail < len(kind.details) else None,
            pid=record.tgid,
            tid=record.tid,
            start_time=round((record.start + offset) / 1e9, 2),
            comm=c_string(record.comm),
            cpu=record.cpu,
            duration_seconds=record.duration / 1e9 if known else None,
            objects=None if waited else objects,
            address=None if waited or is_fork else record.address or None,
            bytes=None if waited or is_fork else record.pages * page or None,
            family=record.address or None if waited else None,
            holder_pid=objects if waited else None,
            holder_path=paths[record.pages] or None if record.pages < len(paths) else None,
            child=forked & event.UNKNOWN or None,
            vmas=record.pages if forked and record.pages != event.UNKNOWN else None,
            threads=forked >> event.FORK_THREADS or None,
        )

    @classmethod
    def lost(cls, time: float, count: int) -> TraceEvent:
        """Events for which the ring had no room, found out at ``time``."""
        return cls(time, LOST, objects=count, text=f"{count} {plural(count, 'event')} lost: the ring had no room")

    @classmethod
    def damaged(cls, time: float, count: int | None, name: str) -> TraceEvent:
        """Events of a recording's file ``name`` that damage has taken; None: how many is not known."""
        how_many = "an unknown number of events" if count is None else f"{count} {plural(count, 'event')}"
        return cls(time, LOST, objects=count, text=f"{how_many} lost: {name} is damaged")

    @classmethod
    def splat(cls, time: float, kind: str, text: str) -> TraceEvent:
        """The first line of a splat in the kernel's log."""
        return cls(time, SPLAT, kind, text=text)
