# SPDX-License-Identifier: MIT
"""``lazyobs census --orphans``: live objects that no VMA holds, and what they can be."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterator

from lazyobs import text
from lazyobs.errors import NotSupported
from lazyobs.kernel.ksm import shared_pages
from lazyobs.sources.orphans import READINGS, OrphanFiles, Orphans
from lazyobs.sources.source import Source
from lazyobs.views import lines, report_table

_COLUMNS = ("cache", "live", "held", "orphans", "spread", "source", "reason")


def show(source: Source, files: OrphanFiles, output: str) -> None:
    """Prints a row for each cache. NotSupported where none can be counted."""
    reader = files.reader(source)
    if reader.why_not:
        raise NotSupported("census --orphans", reader.why_not, "run lazyobs doctor for details")
    if not files.barrier.settle():
        raise NotSupported("census --orphans", files.barrier.why_not or "membarrier(2) is refused", "run it as root")
    found = reader.read()
    rows = [{name: getattr(one, name) for name in _COLUMNS} for one in found]
    residue = list(_residue(found))
    if output == "json":
        document = {"time": time.time(), "kernel": vars(source.kernel), "orphans": rows, "residue": residue}
        print(lines.json_line(document))
    elif output == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(
            [lines.csv_safe(row[name]) if row[name] is not None else "" for name in _COLUMNS] for row in rows
        )
    else:
        cells = [
            [
                one.cache,
                *(text.number(value) for value in (one.live, one.held, one.orphans, one.spread)),
                one.source or "-",
            ]
            for one in found
        ]
        print(report_table.table(cells, ["CACHE", "LIVE", "HELD", "ORPHANS", "SPREAD", "LIVE BY"], left=1))
        for line in residue:
            print(f"\n{text.printable(line)}")


def _residue(found: list[Orphans]) -> Iterator[str]:
    """What the orphans can be besides lost, and why some are not known."""
    for one in found:
        if one.reason:
            yield f"{one.cache}: {one.reason}"
    if not any(one.everyone for one in found):
        yield "process 1 was not visited: its objects are orphans here, and those of any task that the kernel hides from BPF"
    if pages := shared_pages():
        yield f"KSM shares {pages} pages, which refer to an anon_vma each until ksmd finds that their VMA is gone"
    spread = max(one.spread or 0 for one in found)
    yield (
        f"the fewest of {READINGS} readings, which lie {spread} apart"
        + ("" if spread == 0 else ": processes come and go, and those on their way are in no VMA that is visited")
        + "; a constant is no leak, a number that grows and stays is one"
    )
