# SPDX-License-Identifier: MIT
"""Samples for programs: JSON, one object per line; CSV, one row per process."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from typing import Any, TextIO

from lazyobs.model import PROCESS_COLUMNS, Process, Sample
from lazyobs.text import printable


def json_line(document: dict[str, Any]) -> str:
    """One object on one line; NaN and infinity, which JSON lacks, are an error."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False)


class CsvWriter:
    """Rows with their sample's time, after one header line. Unknown numbers are empty fields."""

    def __init__(self, out: TextIO, names: Sequence[str] = PROCESS_COLUMNS) -> None:
        self._names = names
        self._writer = csv.writer(out, lineterminator="\n")
        self._begun = False

    def write(self, sample: Sample, rows: list[Process]) -> None:
        if not self._begun:
            self._writer.writerow(["time", *self._names])
            self._begun = True
        for process in rows:
            self._writer.writerow([sample.time, *(csv_safe(process.get(name)) for name in self._names)])


def csv_safe(value: Any) -> Any:
    """Replaces control characters, and keeps a spreadsheet from taking a name for a formula."""
    if not isinstance(value, str):
        return value
    value = printable(value)
    return "'" + value if value[:1] in ("=", "+", "-", "@") else value
