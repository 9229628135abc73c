# SPDX-License-Identifier: MIT
"""A verdict on standard output: as tables for people, as one JSON object, or its findings as CSV."""

from __future__ import annotations

import csv
import json
import sys
import textwrap
from typing import TextIO

from lazyobs.soak.cause import NAME as WHO
from lazyobs.soak.verdict import CONDITIONS, PASS, Verdict, in_one_line, is_in_a_table, together
from lazyobs.text import NULL, printable
from lazyobs.views.lines import csv_safe
from lazyobs.views.report_table import table

COLUMNS = 72  # of the answer; tables are as wide as they are
_MOST_REASONS = 3
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


def _answer(verdict: Verdict) -> list[str]:
    """What the word rests on, in a few lines: claims first, each without its conditions; and who holds what has grown."""
    reasons = in_one_line(verdict.reasons())
    said = [(one, one.text.partition("; ")[0]) for one in reasons[:_MOST_REASONS]]
    said += [(one, one.text) for one in verdict.findings if one.name == WHO and one not in reasons]
    lines = []
    for one, claim in said:
        where = f"{one.recording}, " if one.recording and len(verdict.identity) > 1 else ""
        words = printable(f"{where}{one.name}: {claim}")
        lines += textwrap.wrap(words, COLUMNS, initial_indent="* ", subsequent_indent="  ", break_on_hyphens=False)
    if len(reasons) > _MOST_REASONS:
        lines.append(f"* and {len(reasons) - _MOST_REASONS} more below")
    return lines


def _text(verdict: Verdict) -> list[str]:
    conditions = [one for one in verdict.findings if one.part == CONDITIONS and one.outcome == PASS]
    rest = [one for one in verdict.in_order() if one.part != CONDITIONS or one.outcome != PASS]
    rest = [one for one in rest if not is_in_a_table(one)]
    rows = [
        (one.part, one.outcome or NULL, one.name, printable(one.recording) or NULL, printable(one.text))
        for one in together(rest)
    ]
    lines = [
        verdict.word,
        *_answer(verdict),
        "",
        table(rows, ["PART", "OUTCOME", "NAME", "RECORDING", "WHAT WAS FOUND"], left=4),
    ]
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
