# SPDX-License-Identifier: MIT
"""What ended processes were in their lives, by their name (probes/process.c)."""

from __future__ import annotations

from lazyobs.bpf.layouts import PROGRAM
from lazyobs.bpf.maps import BatchReader
from lazyobs.model import MOST_PROGRAMS, Program
from lazyobs.text import c_string

_NAME = "16s"


def reader(fd: int) -> BatchReader:
    """A reader of the map ``programs``."""
    return BatchReader(fd, _NAME, PROGRAM, 256)


def programs(found: BatchReader) -> list[Program]:
    """Those with the most ends, at most MOST_PROGRAMS."""
    entries = [Program(c_string(name), *values) for name, values in found.read()]
    return sorted(entries, key=lambda program: (-program.ends, program.comm))[:MOST_PROGRAMS]
