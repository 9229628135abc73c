# SPDX-License-Identifier: MIT
"""A recording on disk: its files, and the columns of each table.

A directory holds recording.json (format, version, identity) and numbered segments; a segment has one file
per table: <table>-<number>.arrows while it is written (Arrow IPC stream), .parquet afterwards. docs/recordings.md
describes the format for other tools.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Union

from lazyobs.bpf import event
from lazyobs.model import CENSUS_NAMES, COUNTER_NAMES, HEALTH_NAMES

Kind = Union[str, int]

FORMAT = "lazyobs recording"
VERSION = 1  # incremented when an older reader would misread the data; new columns do not need a new version
DESCRIPTION = "recording.json"
KEPT = "kept.json"
RESERVE = "reserve"
STREAM, PARQUET = "arrows", "parquet"

# In the order in which a tick writes them: the sample is last, so if it is present, the whole tick is.
TABLES = ("events", "kernel_log", "system", "slabs", "marks", "processes", "samples")
# Of a stream's batches, by table; none for the others. Every buffer of every column is compressed by itself, and zstd
# takes 10 us to begin: 4.7 ms for the 220 columns of one row of "system", which it makes larger. lz4 takes a tenth.
COMPRESSION = dict.fromkeys(("events", "processes", "samples"), "lz4")
_FILE = re.compile(rf"({'|'.join(TABLES)})-([0-9]{{6,9}})\.({STREAM}|{PARQUET})")

# Kinds of columns, by Arrow's names; a thread's name is NAME bytes.
INT, FLOAT, TEXT, BOOL, NAME = "int64", "float64", "string", "bool", 16
_EVENT_KINDS: dict[str, Kind] = {"u64": "uint64", "u32": "uint32", "u16": "uint16", "u8": "uint8", "char": NAME}


class Column(NamedTuple):
    """A column of a table; ``kind`` is a name of Arrow's, or the number of bytes that each value has."""

    name: str
    kind: Kind


class SegmentFile(NamedTuple):
    """The parts of a segment file's name."""

    table: str
    number: int
    form: str

    @property
    def name(self) -> str:
        return f"{self.table}-{self.number:06d}.{self.form}"


def segment_file(name: str) -> SegmentFile | None:
    """Parses a file name; None if it is not the name of a segment file."""
    found = _FILE.fullmatch(name)
    return SegmentFile(found[1], int(found[2]), found[3]) if found else None


def _columns(*pairs: tuple[str, Kind]) -> tuple[Column, ...]:
    return tuple(Column(name, kind) for name, kind in pairs)


# Of a barrier's row: objects that VMAs hold, live ones that none holds (the fewest of several readings, and how far
# those lie apart), which count of live objects that takes ("slab", "call sites"), how far the two went apart, and why
# there are no orphans.
ORPHANS = (
    ("held", INT),
    ("orphans", INT),
    ("orphans_spread", INT),
    ("orphans_source", TEXT),
    ("orphans_residual", INT),
    ("orphans_reason", TEXT),
)
_SAMPLES = _columns(
    ("number", INT),
    ("time", FLOAT),
    ("elapsed", FLOAT),
    ("stamp", INT),  # CLOCK_BOOTTIME, ns
    ("document", TEXT),  # the sample's JSON without its processes; replay shows it
    *((name, INT) for name in (*COUNTER_NAMES, *CENSUS_NAMES)),  # the same data as columns, for queries
    *(("health_" + name, FLOAT) for name in HEALTH_NAMES),
    ("processes", INT),  # rows of the table processes that belong to it
)
_PROCESSES = _columns(
    ("number", INT),
    ("pid", INT),
    ("start_time", FLOAT),
    ("user", TEXT),
    ("comm", TEXT),
    ("cgroup", TEXT),
    ("ppid", INT),
    *((name, INT) for name in CENSUS_NAMES),
    *(pair for name in COUNTER_NAMES for pair in ((name, INT), (name + "_rate", FLOAT))),
)
_SLABS = _columns(
    ("number", INT),
    ("time", FLOAT),
    ("cache", TEXT),
    ("objects_active", INT),
    ("objects", INT),
    ("object_bytes", INT),
    ("merged_with", TEXT),  # blank-separated
    ("barrier", BOOL),  # read after a grace period and a shrink: active objects are live objects
    *ORPHANS,
)
_EVENTS = _columns(
    *((field.name, _EVENT_KINDS[str(field.c_type)]) for field in event.RECORD.fields),
    ("offset", INT),  # ns to add to a stamp to get unix time
)
_KERNEL_LOG = _columns(
    ("time", FLOAT),  # when it was read
    ("stamp", INT),
    ("sequence", INT),
    ("level", INT),
    ("since_boot", FLOAT),  # the kernel's own stamp, seconds
    ("kind", TEXT),  # the kind of report that starts here (WARN, BUG, ...); null in its other lines
    ("text", TEXT),
)
_MARKS = _columns(
    ("time", FLOAT),
    ("stamp", INT),
    ("kind", TEXT),
    ("value", FLOAT),
    ("text", TEXT),
)
_FIXED = {
    "samples": _SAMPLES,
    "processes": _PROCESSES,
    "slabs": _SLABS,
    "events": _EVENTS,
    "kernel_log": _KERNEL_LOG,
    "marks": _MARKS,
}
# Columns that a reader needs; recordings of other versions may lack any other column.
NEEDED = {
    "samples": ("number", "time", "document"),
    "processes": ("number", "pid", "start_time", "user", "comm", "cgroup"),
    "slabs": ("time", "cache", "objects_active", "barrier"),
    "events": (*event.Event._fields, "offset"),
    "kernel_log": ("time", "text"),
    "marks": ("time", "kind", "value", "text"),
    "system": ("number", "time"),
}


def columns(table: str, system_columns: tuple[str, ...] = ()) -> tuple[Column, ...]:
    """Columns of a table. Those of "system" are the fields of this kernel's vmstat, meminfo and PSI."""
    if table == "system":
        return _columns(("number", INT), ("time", FLOAT), *((name, INT) for name in system_columns))
    return _FIXED[table]
