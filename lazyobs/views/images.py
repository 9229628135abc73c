# SPDX-License-Identifier: MIT
"""``lazyobs images``: the compiled probes that come along, and whether they are of the probes that are here."""

from __future__ import annotations

import csv
import os
import sys
from typing import Any

from lazyobs.bpf import images, template
from lazyobs.bpf.image import Image, ImageError, hash_of
from lazyobs.text import printable
from lazyobs.views import lines, report_table

_COLUMNS = ("image", "usable", "events", "compiler", "bytes", "programs", "instructions", "source", "why_not")


def rows(folder: str = images.FOLDER) -> list[dict[str, Any]]:
    """An image each: a row of _COLUMNS. ``programs``: {name: instructions}. Where there is a ``why_not`` it is not
    loaded, and what is not known of it is null."""
    current = {hash_of(template.text(events)): events for events in (False, True)}
    return [_row(path, current) for path in images.files(folder)]


def _row(path: str, current: dict[str, bool]) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(_COLUMNS)
    row |= {"image": os.path.basename(path), "usable": False}
    try:
        raw = images.read(path)
        image = Image.from_bytes(raw)
    except (OSError, ImageError) as error:
        return row | {"why_not": error.strerror if isinstance(error, OSError) else str(error)}
    programs = {name: len(program.code) // 8 for name, program in sorted(image.programs.items())}
    usable = image.source in current
    return row | {
        "usable": usable,
        "events": current.get(image.source),
        "compiler": image.compiler,
        "bytes": len(raw),
        "programs": programs,
        "instructions": sum(programs.values()),
        "source": image.source,
        "why_not": None if usable else "of other probes than these: make images",
    }


def show(output: str, programs: bool) -> bool:
    """Prints them; ``programs``: each program, too. False where a start has to compile."""
    found = rows()
    if output == "json":
        for row in found:
            print(lines.json_line(row))
    elif output == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for row in found:
            cells = row | {"programs": None if row["programs"] is None else len(row["programs"])}
            writer.writerow(lines.csv_safe(cells[name]) for name in _COLUMNS)
    else:
        _table(found, programs)
    return len({row["events"] for row in found if row["usable"]}) == 2


def _table(found: list[dict[str, Any]], programs: bool) -> None:
    if not found:
        print(f"no images in {images.FOLDER}: the probes are compiled by BCC")
        return
    cells = [
        [
            row["image"],
            "yes" if row["usable"] else f"no: {row['why_not']}",
            {True: "yes", False: "no", None: "-"}[row["events"]],
            row["compiler"] or "-",
            row["bytes"] if row["bytes"] is not None else "-",
            len(row["programs"]) if row["programs"] is not None else "-",
            row["instructions"] if row["instructions"] is not None else "-",
            (row["source"] or "-")[:12],
        ]
        for row in found
    ]
    headings = ["IMAGE", "USABLE", "EVENTS", "BCC", "BYTES", "PROGRAMS", "INSTRUCTIONS", "SOURCE"]
    print(report_table.table(cells, headings, left=4))
    print("for every kernel that has BTF, x86-64 and arm64, and every profile")
    for row in found if programs else ():
        print(f"\n{row['image']}")
        for name, count in (row["programs"] or {}).items():
            print(f"    {printable(name):28}{count:6}")
