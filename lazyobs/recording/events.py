# SPDX-License-Identifier: MIT
"""Events and kernel log lines as rows: numpy columns to Arrow, with the clock offset that turns stamps into unix time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy

from lazyobs.bpf import event
from lazyobs.kernel.log import LogLine
from lazyobs.recording.arrow import pa

if TYPE_CHECKING:
    from numpy import ndarray


def event_rows(found: ndarray[Any, Any], offset: int) -> dict[str, pa.Array]:
    """Rows of the table events from an array of ``event.dtype()``; ``offset``: unix time minus CLOCK_BOOTTIME, ns."""
    columns = {name: pa.array(numpy.ascontiguousarray(found[name])) for name in event.Event._fields[:-1]}
    names = numpy.ascontiguousarray(found["comm"])
    columns["comm"] = pa.Array.from_buffers(pa.binary(16), len(found), [None, pa.py_buffer(names.tobytes())])
    columns["offset"] = pa.array(numpy.full(len(found), offset, "i8"))
    return columns


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
