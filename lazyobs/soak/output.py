# SPDX-License-Identifier: MIT
"""A verdict on standard output: as tables for people, as one JSON object, or its findings as CSV."""

from __future__ import annotations

import csv
import json
import sys
import textwrap
from typing import TextIO

from lazyobs.soak.verdict import CONDITIONS, PASS, Verdict, together
from lazyobs.text import NULL, printable
from lazyobs.views.lines import csv_safe
from lazyobs.views.tables import table

_COLUMNS = ("part", "name", "outcome", "recording", "text")


def show(verdict: Verdict, output: str, file: TextIO | None = None) -> None:
    """``output``: table, json or csv."""
    file = file or sys.stdout
    if output == "json":
        print(json.dumps(verdict.as_json(), separators=(",", ":"), allow_nan=False), file=file)
    elif output == "csv":
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("word", *_COLUMNS))
        writer.writerows(
            (verdict.word, *(csv_safe(getattr(finding, name)) for name in _COLUMNS)) for finding in verdict.findings
        )
    else:
        print("\n".join(_text(verdict)), file=file)


def _text(verdict: Verdict) -> list[str]:
    conditions = [one for one in verdict.findings if one.part == CONDITIONS and one.outcome == PASS]
    rest = [one for one in verdict.in_order() if one.part != CONDITIONS or one.outcome != PASS]
    rows = [
        (one.part, one.outcome or NULL, one.name, printable(one.recording) or NULL, printable(one.text))
        for one in together(rest)
    ]
    lines = [verdict.word, "", table(rows, ["PART", "OUTCOME", "NAME", "RECORDING", "WHAT WAS FOUND"], left=4)]
    if conditions:
        names = ", ".join(dict.fromkeys(one.name for one in conditions))
        lines += [
            "",
            *textwrap.wrap(
                printable(f"{len(conditions)} conditions of validity hold: {names}. -o json has each."), 100
            ),
        ]
    for one in verdict.tables:
        cells = [[NULL if cell is None else str(cell) for cell in row] for row in one.rows]
        lines += ["", printable(one.title), table(cells, [heading.upper() for heading in one.headings], left=1)]
    return lines
