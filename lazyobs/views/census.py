# SPDX-License-Identifier: MIT
"""``lazyobs census``: one snapshot as a table, JSON or CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable

from lazyobs import text
from lazyobs.bpf.census import VmaRow
from lazyobs.errors import NotSupported
from lazyobs.kernel import vm_flags
from lazyobs.kernel.mappings import Mappings
from lazyobs.model import CENSUS_NAMES, Process, Sample
from lazyobs.sources.source import Source
from lazyobs.unix.process_id import absent
from lazyobs.views import columns, lines, report_table
from lazyobs.views.process_filter import ProcessFilter

_IDENTITY = ("pid", "start_time", "user", "comm", "cgroup")


def show(source: Source, pids: tuple[int, ...], sort: str, output: str) -> None:
    """Prints every process, or those of ``pids``; the totals count each address space once."""
    sample = source.read()
    chosen = ProcessFilter(pids)
    if chosen.has_ended(sample.processes):
        raise absent(pids, source.live)
    rows = columns.sort(chosen.of(sample.processes), sort)
    names = _IDENTITY + CENSUS_NAMES
    if output == "json":
        document = {
            "time": sample.time,
            "kernel": vars(sample.kernel),
            "tiers": {"census": sample.tiers.get("census")},
            "census": sample.census,
            "slabs": [vars(slab) for slab in sample.slabs],
            "processes": [{name: process.get(name) for name in names} for process in rows],
            "null_reasons": {
                key: why for key, why in sample.null_reasons.items() if key.startswith(("census", "processes", "slabs"))
            },
        }
        print(lines.json_line(document))
    elif output == "csv":
        lines.CsvWriter(sys.stdout, names).write(sample, rows)
    else:
        names = columns.with_sorted(columns.CENSUS_VIEW, sort)
        print(report_table.table([columns.cells(process, names) for process in rows], columns.headings(names)))
        print(f"\n{_together(rows, sample, bool(pids))}")


def _together(rows: list[Process], sample: Sample, chosen: bool) -> str:
    """The last line: sums over the chosen processes, or over all address spaces, each counted once."""
    known = [row for row in rows if row.census.get("vmas") is not None]
    unread = f", {len(rows) - len(known)} of them could not be read" if len(known) < len(rows) else ""
    partial = bool(known) and sample.census.get("vmas") is None
    total = sample.census
    if chosen or partial:
        total = {name: _sum(row.census.get(name) for row in known) for name in CENSUS_NAMES}
    spaces = "" if chosen else "those together: " if partial else "address spaces together: "
    return (
        f"{len(rows)} {text.plural(len(rows), 'process', 'processes')}{unread}; {spaces}{text.number(total['vmas'])} VMAs, "
        f"{text.number(total['vmas_anon'])} anonymous, {text.number(total['vmas_lazy'])} lazy, "
        f"{text.number(total['vmas_private'])} private, {text.number(total['vmas_shared'])} shared; "
        f"saved {text.size(total['saved_bytes'])}, savable {columns.savable(total)}"
    )


def _sum(values: Iterable[int | None]) -> int | None:
    """The sum; None if any value is unknown."""
    found = list(values)
    return None if None in found else sum(one for one in found if one is not None)


def show_vmas(source: Source, pids: tuple[int, ...], output: str, mappings: Mappings) -> None:
    """Prints every VMA of the processes with its state in the census, and its name. NotSupported where they are not available."""
    if why := source.why_not("vmas"):
        raise NotSupported("census --vmas", why, "see lazyobs doctor, or read /proc/PID/smaps")
    rows = [row for pid in pids for row in source.vmas(pid)]
    if not rows:
        raise absent(pids, live=True)
    named = {pid: mappings.names(pid) for pid in pids}

    def name(row: VmaRow) -> str:
        """As the kernel's iterator has it where maps could not be read, or the VMA has come since: of a file the last part."""
        known = named.get(row.tgid)
        return row.name if known is None else known.get(row.start, row.name)

    if output == "json":
        for row in rows:
            about = {"pid": row.tgid, "start": row.start, "end": row.end, "flags": row.flags, "state": row.state}
            print(lines.json_line({**about, "name": name(row), "chains": row.chains, "anon_vmas": row.anon_vmas}))
        return
    if output == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["pid", "start", "end", "flags", "state", "name", "chains", "anon_vmas"])
        for row in rows:
            cells = [*_place(row), f"{row.flags:x}", row.state, name(row), row.chains, row.anon_vmas]
            writer.writerow([lines.csv_safe(cell) for cell in cells])
        return
    headings = ["PID", "START", "END", "FLAGS", "STATE", "CHAINS", "ANON_VMAS", "NAME"]
    shown = [
        [
            *_place(row),
            vm_flags.names(row.flags),
            row.state,
            text.number(row.chains),
            text.number(row.anon_vmas),
            name(row),
        ]
        for row in rows
    ]
    print(report_table.table(shown, headings))


def _place(row: VmaRow) -> list[object]:
    return [row.tgid, f"{row.start:x}", f"{row.end:x}"]
