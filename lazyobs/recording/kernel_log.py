# SPDX-License-Identifier: MIT
"""Lines of the kernel log that matter: a warning, a bug, a stall, and what follows each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lazyobs.kernel.log import KernelLog, Record, kind_of

_LINES_OF_A_SPLAT = 100
_SECONDS_OF_A_SPLAT = 1.0
_END = "---[ end trace"


@dataclass(frozen=True)
class LogLine:
    """``kind`` is set where a splat begins; ``since_boot`` is the kernel's stamp in seconds."""

    sequence: int
    level: int
    since_boot: float
    kind: str | None
    text: str


class Splats:
    """The splats in a log, each with the lines after it."""

    def __init__(self, log: KernelLog) -> None:
        self.log = log
        self._left = 0
        self._until = 0.0

    def read(self) -> list[LogLine]:
        """The lines that matter since the last call."""
        return [line for line in map(self._line, self.log.records()) if line is not None]

    def _line(self, record: Record) -> LogLine | None:
        kind = kind_of(record.text)
        if kind is not None:
            self._left, self._until = _LINES_OF_A_SPLAT, record.since_boot + _SECONDS_OF_A_SPLAT
        elif self._left <= 0 or record.since_boot > self._until:
            return None
        self._left = 0 if record.text.startswith(_END) else self._left - 1
        return LogLine(record.sequence, record.level, record.since_boot, kind, record.text)


def log_rows(time: float, lines: list[LogLine]) -> dict[str, list[Any]]:
    """Rows of the table kernel_log, read at ``time``."""
    return {
        "time": [time] * len(lines),
        "sequence": [line.sequence for line in lines],
        "level": [line.level for line in lines],
        "since_boot": [line.since_boot for line in lines],
        "kind": [line.kind for line in lines],
        "text": [line.text for line in lines],
    }
