# SPDX-License-Identifier: MIT
"""``lazyobs trace``: happenings one a line, as a table, JSON or CSV."""

from __future__ import annotations

import csv
import json
import sys
import time

from lazyobs import text
from lazyobs.bpf.trace_event import Happening
from lazyobs.views.lines import csv_safe

COLUMNS = (
    "time", "kind", "detail", "pid", "tid", "start_time", "comm", "cpu", "duration_seconds", "objects", "address",
    "bytes", "text",
)  # fmt: skip


class Writer:
    """Happenings to standard output, in one of the forms."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._csv = csv.writer(sys.stdout, lineterminator="\n")
        if output == "csv":
            self._csv.writerow(COLUMNS)
        elif output == "table":
            print(
                f"{'TIME':15} {'KIND':16} {'DETAIL':16} {'PID':>7} {'TID':>7} {'TIME TAKEN':>10} {'OBJECTS':>7}  COMMAND"
            )

    def write(self, happening: Happening) -> None:
        if self._output == "json":
            print(json.dumps(vars(happening), separators=(",", ":"), allow_nan=False))
        elif self._output == "csv":
            self._csv.writerow([csv_safe(getattr(happening, name)) for name in COLUMNS])
        else:
            print(_line(happening))

    def flush(self) -> None:
        sys.stdout.flush()


def _line(happening: Happening) -> str:
    moment = time.strftime("%H:%M:%S", time.localtime(happening.time)) + f"{happening.time % 1:.6f}"[1:]
    if happening.pid is None:
        what = text.printable(happening.text or "")
        return f"{moment:15} {happening.kind:16} {happening.detail or '':16} {what}".rstrip()
    where = f"  {happening.address:#x}+{text.size(happening.bytes)}" if happening.address else ""
    return (
        f"{moment:15} {happening.kind:16} {happening.detail or '':16} {happening.pid:>7} {happening.tid:>7} "
        f"{text.seconds(happening.duration_seconds):>10} {text.number(happening.objects):>7}  "
        f"{text.printable(happening.comm or '')}{where}"
    )
