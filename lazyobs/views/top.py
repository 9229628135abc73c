# SPDX-License-Identifier: MIT
"""``lazyobs top``: samples at an interval, filtered and sorted, as tables, JSON or CSV."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass

from lazyobs.model import Process, Sample
from lazyobs.sources.source import Source
from lazyobs.unix.pidfd import absent
from lazyobs.views import columns, lines, tables
from lazyobs.views.plain_screen import Screen

_ROWS_IN_BATCH = 20


@dataclass
class TopOptions:
    """What the command line asks for; None means no limit or no filter."""

    interval: float
    iterations: int | None
    batch: bool
    output: str
    views: tuple[str, ...]
    sort: str
    rows: int | None = None
    pids: tuple[int, ...] = ()
    user: str | None = None
    cgroup: str | None = None
    live: bool = True  # what is not in the first sample may be on this machine all the same
    notice: str = ""  # a line that stays above the tables: what is lost here, and why


def select(sample: Sample, options: TopOptions) -> list[Process]:
    """The processes asked for, sorted."""
    found = [
        process
        for process in sample.processes
        if (not options.pids or process.pid in options.pids)
        and (options.user is None or process.user == options.user)
        and (options.cgroup is None or _below(process.cgroup, options.cgroup))
    ]
    return columns.sort(found, options.sort)


def _below(path: str | None, ancestor: str) -> bool:
    if path is None:
        return False
    ancestor = "/" + ancestor.strip("/")
    return ancestor == "/" or path == ancestor or path.startswith(ancestor + "/")


def run(source: Source, options: TopOptions) -> None:
    """Shows samples until the iterations are over, the watched processes have ended, or q is pressed."""
    columns.column(options.sort)
    if options.output == "table" and not options.batch:
        _refresh(source, options)
    else:
        _batch(source, options)


def _batch(source: Source, options: TopOptions) -> None:
    csv = lines.CsvWriter(sys.stdout)
    due = time.monotonic()
    count = 0
    while True:
        try:
            sample = source.read()
        except EOFError:  # the end of a recording
            return
        rows = select(sample, options)
        if _watched_are_gone(sample, options, count):
            return
        shown = rows if options.rows is None else rows[: options.rows]
        if options.output == "json":
            sample.processes = shown
            print(lines.json_line(sample.as_json()), flush=True)
        elif options.output == "csv":
            csv.write(sample, shown)
            sys.stdout.flush()
        else:
            if options.rows is None:
                shown = rows[:_ROWS_IN_BATCH]
            print(_text(sample, shown, options), end="\n\n", flush=True)
        count += 1
        if count == options.iterations:
            return
        due = _sleep_until(due + options.interval)


def _sleep_until(due: float) -> float:
    """Sleeps to the moment and returns it; a reading that took too long is not made up for."""
    now = time.monotonic()
    if due > now:
        time.sleep(due - now)
        return due
    return now


def _watched_are_gone(sample: Sample, options: TopOptions, count: int) -> bool:
    """True when every process of -p has ended. UsageError when none was there to begin with."""
    if not options.pids or any(process.pid in options.pids for process in sample.processes):
        return False
    if count == 0:
        raise absent(options.pids, options.live)
    return True


def _text(sample: Sample, rows: list[Process], options: TopOptions) -> str:
    parts = list(tables.header(sample))
    if options.notice:
        parts.append(options.notice)
    for name in options.views:
        parts += ["", tables.view(sample, name, rows)]
    return "\n".join(parts)


def _refresh(source: Source, options: TopOptions) -> None:
    count = 0
    with Screen() as screen:
        while True:
            due = time.monotonic() + options.interval
            try:
                sample = source.read()
            except EOFError:  # the end of a recording: its last sample stays until it has been looked at
                while screen.key(3600) not in ("q", "Q"):
                    pass
                return
            rows = select(sample, options)
            if _watched_are_gone(sample, options, count):
                return
            room = options.rows or shutil.get_terminal_size().lines
            screen.draw(_text(sample, rows[:room], options))
            count += 1
            if count == options.iterations:
                return
            while (left := due - time.monotonic()) > 0:
                if screen.key(left) in ("q", "Q"):
                    return
