# SPDX-License-Identifier: MIT
"""``lazyobs trace``: trace events, one per line, as a table, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from collections.abc import Iterable

from lazyobs import text
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.views.lines import csv_safe

COLUMNS = (
    "time", "kind", "detail", "pid", "tid", "start_time", "comm", "cpu", "duration_seconds", "objects", "address",
    "bytes", "text", "family", "holder_pid", "holder_path", "child", "vmas", "threads",
    "waiter_stack", "holder_stack",
)  # fmt: skip


class Writer:
    """Trace events for standard output, in one of the formats.

    Making the text and putting it out are two calls: a signal is noticed as a call ends, so that who counts between the
    two counts what is put out.
    """

    def __init__(self, output: str) -> None:
        self._output = output
        if output == "csv":
            self.put(_csv(COLUMNS))
        elif output == "table":
            self.put(
                f"{'TIME':15} {'KIND':16} {'DETAIL':16} {'PID':>7} {'TID':>7} {'TIME TAKEN':>10} {'OBJECTS':>7}  COMMAND\n"
            )

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

    def put(self, lines: str) -> None:
        sys.stdout.write(lines)

    def flush(self) -> None:
        sys.stdout.flush()


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
