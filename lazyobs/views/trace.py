# SPDX-License-Identifier: MIT
"""``lazyobs trace``: trace events, one per line, as a table, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from lazyobs import text
from lazyobs.bpf.trace_event import LOCK_WAIT, LOST, TraceEvent
from lazyobs.views.lines import csv_safe

COLUMNS = (
    "time", "kind", "detail", "pid", "tid", "start_time", "comm", "cpu", "duration_seconds", "objects", "address",
    "bytes", "text", "family", "holder_pid", "holder_path", "child", "vmas", "threads",
    "waiter_stack", "holder_stack",
)  # fmt: skip


class Counted(NamedTuple):
    """What was printed. ``lost_more``: and an unknown number; ``no_waiter`` and ``no_holder``: lock waits without that
    stack."""

    events: int = 0
    lost: int = 0
    lost_more: bool = False
    waits: int = 0
    no_waiter: int = 0
    no_holder: int = 0

    def and_one(self, trace_event: TraceEvent) -> Counted:
        if trace_event.kind == LOST:
            more = self.lost_more or trace_event.objects is None
            return self._replace(lost=self.lost + (trace_event.objects or 0), lost_more=more)
        if trace_event.kind != LOCK_WAIT:
            return self._replace(events=self.events + 1)
        return self._replace(
            events=self.events + 1,
            waits=self.waits + 1,
            no_waiter=self.no_waiter + (trace_event.waiter_stack is None),
            no_holder=self.no_holder + (trace_event.holder_stack is None),
        )


_ROOM = 1 << 16  # bytes that are printed together


class Writer:
    """Writes trace events to standard output, in one of the formats; ``counted``: which.

    An interruption by a signal leaves an event counted and in the buffer, or neither. Python's own text layer forgets
    what it was printing when it was interrupted.
    """

    def __init__(self, output: str) -> None:
        self._output = output
        sys.stdout.flush()
        self._buffer = io.BufferedWriter(_raw_stdout(), 2 * _ROOM)
        self._held = 0
        self.counted = Counted()
        if output == "csv":
            self._buffer.write(_encoded(_csv(COLUMNS)))
        elif output == "table":
            head = f"{'TIME':15} {'KIND':16} {'DETAIL':16} {'PID':>7} {'TID':>7} {'TIME TAKEN':>10} {'OBJECTS':>7}  COMMAND\n"
            self._buffer.write(_encoded(head))

    def write(self, trace_event: TraceEvent) -> None:
        lines, counted = _encoded(self.text(trace_event)), self.counted.and_one(trace_event)
        if self._held + len(lines) > _ROOM:
            self.flush()
        held, put = self._held + len(lines), self._buffer.write
        # A signal is noticed where a call has ended or a function of Python's begins: not from here on.
        self._held = held
        self.counted = counted
        put(lines)  # there is room for it

    def flush(self) -> None:
        self._buffer.flush()
        self._held = 0

    def text(self, trace_event: TraceEvent) -> str:
        """Its lines."""
        if self._output == "json":
            return json.dumps(vars(trace_event), separators=(",", ":"), allow_nan=False) + "\n"
        if self._output == "csv":
            return _csv(_cell(getattr(trace_event, name)) for name in COLUMNS)
        lines = [_line(trace_event)]
        for side, frames in (("waits", trace_event.waiter_stack), ("holds", trace_event.holder_stack)):
            for number, frame in enumerate(frames or ()):
                lines.append(text.printable(f"{'' if number else side:>20}  {frame}"))
        return "\n".join(lines) + "\n"


class _Replaced(io.RawIOBase):
    """Standard output of a program that has put something of its own in its place."""

    def writable(self) -> bool:
        return True

    def write(self, lines: Any) -> int:
        sys.stdout.write(bytes(lines).decode(sys.stdout.encoding or "utf-8", sys.stdout.errors or "strict"))
        return len(lines)


def _raw_stdout() -> io.RawIOBase:
    try:
        return io.FileIO(sys.stdout.fileno(), "w", closefd=False)
    except io.UnsupportedOperation:
        return _Replaced()


def _encoded(lines: str) -> bytes:
    return lines.encode(sys.stdout.encoding or "utf-8", sys.stdout.errors or "strict")


def _csv(cells: Iterable[object]) -> str:
    row = io.StringIO()
    csv.writer(row, lineterminator="\n").writerow(cells)
    return row.getvalue()


def _cell(value: object) -> object:
    return csv_safe(" ".join(value) if isinstance(value, tuple) else value)


def _line(trace_event: TraceEvent) -> str:
    return text.printable(_raw_line(trace_event))


def _raw_line(trace_event: TraceEvent) -> str:
    moment = time.strftime("%H:%M:%S", time.localtime(trace_event.time)) + f"{trace_event.time % 1:.6f}"[1:]
    if trace_event.pid is None:
        return f"{moment:15} {trace_event.kind:16} {trace_event.detail or '':16} {trace_event.text or ''}".rstrip()
    if trace_event.child is not None:
        return f"{_begin(trace_event, moment)}{_forked(trace_event)}"
    where = f"  {trace_event.address:#x}+{text.size(trace_event.bytes)}" if trace_event.address else ""
    where += f"  family {trace_event.family}" if trace_event.family else ""
    where += _holder(trace_event)
    return f"{_begin(trace_event, moment)}{where}"


def _forked(trace_event: TraceEvent) -> str:
    """The child, and what it was made of: the name is its parent's until it executes another program."""
    parts = [f"  -> {trace_event.child}"]
    if (vmas := trace_event.vmas) is not None:
        parts.append(f"{vmas} {text.plural(vmas, 'VMA')} copied" if vmas else "shares its VMAs")
    if (threads := trace_event.threads) is not None and threads > 1:
        parts.append(f"of {threads} threads")
    return ", ".join(parts)


def _begin(trace_event: TraceEvent, moment: str) -> str:
    return (
        f"{moment:15} {trace_event.kind:16} {trace_event.detail or '':16} {trace_event.pid:>7} {trace_event.tid:>7} "
        f"{text.seconds(trace_event.duration_seconds):>10} {text.number(trace_event.objects):>7}  "
        f"{trace_event.comm or ''}"
    )


def _holder(trace_event: TraceEvent) -> str:
    if trace_event.holder_pid is None:
        return ""
    return f"  held by {trace_event.holder_pid}" + (f" ({trace_event.holder_path})" if trace_event.holder_path else "")
