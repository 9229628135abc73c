# SPDX-License-Identifier: MIT
"""Rows of facts that are no samples, as a table, JSON or CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from typing import Any

from lazyobs.text import printable
from lazyobs.views import lines, report_table

_WORDS = {True: "yes", False: "no", None: "-"}


def show(rows: Sequence[dict[str, Any]], columns: Sequence[str], output: str) -> None:
    """Prints ``rows``; each has all of ``columns``."""
    if output == "json":
        for row in rows:
            print(lines.json_line(row))
        return
    if output == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow(lines.csv_safe(row[name]) for name in columns)
        return
    headings = [name.replace("_", " ").upper() for name in columns]
    print(report_table.table([[_cell(row[name]) for name in columns] for row in rows], headings, left=len(columns)))


def _cell(value: Any) -> str:
    return _WORDS[value] if value is None or isinstance(value, bool) else printable(str(value))
