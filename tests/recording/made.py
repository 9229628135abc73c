# SPDX-License-Identifier: MIT
"""Recordings with known content, made by the store itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy

from lazyobs.bpf import event
from lazyobs.recording import events as recorded
from lazyobs.recording import samples
from lazyobs.recording.directory import Directory
from lazyobs.recording.encoder import Packed
from lazyobs.recording.writer import Limits, Store
from tests.recording.samples import sample

IDENTITY = {"release": "6.1.0", "boot_id": "c0ffee"}


def store(path: Path, limits: Limits | None = None, **more: Any) -> Store:
    return Store(Directory(str(path)), IDENTITY, 1.0, ("vmstat_pgfault",), limits, **more)


def append_sample(into: Store, number: int, processes: int = 5) -> None:
    one = sample(number, processes)
    stamp = number * 1_000_000_000
    into.append("slabs", samples.slab_rows(number, one.time, one.slabs, barrier=False))
    into.append("processes", samples.process_rows(number, one.processes))
    into.append("samples", samples.sample_row(number, stamp, one))


def events(first: int, count: int) -> numpy.ndarray:
    """Events numbered from ``first``."""
    found = numpy.zeros(count, event.dtype())
    numbers = numpy.arange(first, first + count, dtype="u8")
    found["stamp"], found["address"] = 1_000_000_007 * numbers, numbers
    found["duration"], found["kind"], found["comm"] = numbers % 5003, numbers % 4, b"comm"
    return found


def event_rows(found: numpy.ndarray, offset: int) -> dict[str, Packed]:
    """Rows of the table events from an array of ``event.dtype()``."""
    return recorded.event_rows(found.tobytes(), offset)
