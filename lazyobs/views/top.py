# SPDX-License-Identifier: MIT
"""``lazyobs top``: samples at an interval, filtered and sorted, as tables, JSON or CSV."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass, field

from lazyobs.errors import UsageError
from lazyobs.model import Process, Sample
from lazyobs.sources.growth import Growth
from lazyobs.sources.source import Source
from lazyobs.unix import interrupt
from lazyobs.unix.process_id import absent
from lazyobs.views import columns, lines, summary, tables
from lazyobs.views.costs import Costs, costs
from lazyobs.views.live_table import LiveTables
from lazyobs.views.plain_screen import Screen
from lazyobs.views.process_filter import ProcessFilter

_ROWS_IN_BATCH = 20


@dataclass
class TopOptions:
    """The options of the command line; None means no limit or no filter."""

    interval: float
    iterations: int | None
    batch: bool
    output: str
    views: tuple[str, ...]
    sort: str
    rows: int | None = None
    filter: ProcessFilter = field(default_factory=ProcessFilter)
    notice: str = ""  # a line that stays above the tables: what is missing here, and why


def run(source: Source, options: TopOptions) -> None:
    """Shows samples until the iterations are done, the processes of -p have ended, or q is pressed."""
    columns.column(options.sort)
    if options.output == "table" and not options.batch:
        _refresh(source, options)
    else:
        _batch(source, options)


class _Watched:
    """The samples from the first to the last, and the time between them by a clock that is never set."""

    def __init__(self) -> None:
        self._samples: tuple[Sample, Sample] | None = None
        self._seconds = 0.0

    def note(self, sample: Sample) -> None:
        if self._samples:
            self._seconds += sample.elapsed
        self._samples = self._samples[0] if self._samples else sample, sample

    def costs(self) -> Costs:
        assert self._samples is not None
        return costs(*self._samples, {}, self._seconds)


def _batch(source: Source, options: TopOptions) -> None:
    csv, growth, laid_out = lines.CsvWriter(sys.stdout), Growth(), LiveTables()
    due = time.monotonic()
    count = 0
    found = False  # a process that the filter lets pass
    watched = _Watched()
    while True:
        try:
            sample = source.read()
        except EOFError:  # the end of a recording
            if not found:
                raise _nothing_passed(options.filter) from None
            return
        growth.note(sample)
        watched.note(sample)
        rows = _chosen(sample, options)
        found = found or bool(rows) or not sample.processes
        if _ended(source, sample, options, count):
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
            print(_text(watched.costs(), sample, shown, options, laid_out), end="\n\n", flush=True)
        count += 1
        if count == options.iterations:
            return
        due = _sleep_until(due + options.interval)


def _nothing_passed(chosen: ProcessFilter) -> UsageError:
    """The error at the end of a recording that has no process of that user, or in that cgroup."""
    asked = {"-u": chosen.user, "-c": chosen.cgroup}
    what = " ".join(f"{option} {value!r}" for option, value in asked.items() if value is not None)
    return UsageError(what, "no process of the recording passes it", "name what the recording has")


def _sleep_until(due: float) -> float:
    """Sleeps until the moment and returns it; a reading that took too long is not compensated."""
    now = time.monotonic()
    if due <= now:
        return now
    interrupt.sleep(due - now)
    return due


def _chosen(sample: Sample, options: TopOptions) -> list[Process]:
    """The processes to show, sorted."""
    return columns.sort(options.filter.of(sample.processes), options.sort)


def _ended(source: Source, sample: Sample, options: TopOptions, count: int) -> bool:
    """True when every process of -p has ended. UsageError if none of them existed at the start."""
    if not options.filter.has_ended(sample.processes):
        return False
    if count == 0:
        raise absent(options.filter.pids, source.live)
    return True


def _text(cost: Costs, sample: Sample, rows: list[Process], options: TopOptions, laid_out: LiveTables) -> str:
    title, *rest = tables.header(sample)
    parts = [title, *summary.first_lines(cost), *rest]
    if options.notice:
        parts.append(options.notice)
    for name in options.views:
        parts += ["", tables.view(sample, name, rows, options.sort, laid_out)]
    return "\n".join(parts)


def _refresh(source: Source, options: TopOptions) -> None:
    count, growth, laid_out = 0, Growth(), LiveTables()
    watched = _Watched()
    with Screen() as screen:
        while True:
            due = time.monotonic() + options.interval
            try:
                sample = source.read()
            except EOFError:  # the end of a recording: its last sample stays until q is pressed
                while screen.key(3600) not in ("q", "Q"):
                    pass
                return
            growth.note(sample)
            watched.note(sample)
            rows = _chosen(sample, options)
            if _ended(source, sample, options, count):
                return
            room = options.rows or shutil.get_terminal_size().lines
            screen.draw(_text(watched.costs(), sample, rows[:room], options, laid_out))
            count += 1
            if count == options.iterations:
                return
            while (left := due - time.monotonic()) > 0:
                if screen.key(left) in ("q", "Q"):
                    return
