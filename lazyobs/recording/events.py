# SPDX-License-Identifier: MIT
"""Events and kernel log lines as rows, with the clock offset that turns stamps into unix time."""

from __future__ import annotations

import struct
from typing import Any

from lazyobs.bpf import event
from lazyobs.kernel.log import LogLine
from lazyobs.recording.encoder import Packed


def event_rows(records: bytes | bytearray, offset: int) -> dict[str, Packed]:
    """Rows of the table events from whole records; ``offset``: unix time minus CLOCK_BOOTTIME, ns."""
    count = len(records) // event.BYTES
    columns = {name: Packed(event.column(records, name), count) for name in event.Event._fields}
    columns["offset"] = Packed(struct.pack("=q", offset) * count, count)
    return columns


def log_rows(time: float, stamp: int, lines: list[LogLine]) -> dict[str, list[Any]]:
    """Rows of the table kernel_log, read at ``time`` and ``stamp``, which is CLOCK_BOOTTIME in ns."""
    return {
        "time": [time] * len(lines),
        "stamp": [stamp] * len(lines),
        "sequence": [line.sequence for line in lines],
        "level": [line.level for line in lines],
        "since_boot": [line.since_boot for line in lines],
        "kind": [line.kind for line in lines],
        "text": [line.text for line in lines],
    }
