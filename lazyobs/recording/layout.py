# SPDX-License-Identifier: MIT
"""A recording on disk: its files, and the columns of each table.

A directory holds recording.json (format, version, identity) and numbered segments; a segment has one file
per table: <table>-<number>.arrows while it is written (Arrow IPC stream), .parquet afterwards. docs/recordings.md
describes the format for other tools.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lazyobs.bpf import event
from lazyobs.model import CENSUS_NAMES, COUNTER_NAMES, HEALTH_NAMES
from lazyobs.recording.arrow import pa

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

_TEXT, _INT, _FLOAT = pa.string(), pa.int64(), pa.float64()
_EVENT_TYPES = {"u64": pa.uint64(), "u32": pa.uint32(), "u16": pa.uint16(), "u8": pa.uint8(), "char": pa.binary(16)}


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


def _fields(*pairs: tuple[str, pa.DataType]) -> list[pa.Field]:
    return [pa.field(name, kind) for name, kind in pairs]


# Of a barrier's row: objects that VMAs hold, live ones that none holds (the fewest of several readings, and how far
# those lie apart), which count of live objects that takes ("slab", "call sites"), how far the two went apart, and why
# there are no orphans.
ORPHANS = (
    ("held", _INT),
    ("orphans", _INT),
    ("orphans_spread", _INT),
    ("orphans_source", _TEXT),
    ("orphans_residual", _INT),
    ("orphans_reason", _TEXT),
)
_SAMPLES = _fields(
    ("number", _INT),
    ("time", _FLOAT),
    ("elapsed", _FLOAT),
    ("stamp", _INT),  # CLOCK_BOOTTIME, ns
    ("document", _TEXT),  # the sample's JSON without its processes; replay shows it
    *((name, _INT) for name in (*COUNTER_NAMES, *CENSUS_NAMES)),  # the same data as columns, for queries
    *(("health_" + name, _FLOAT) for name in HEALTH_NAMES),
    ("processes", _INT),  # rows of the table processes that belong to it
)
_PROCESSES = _fields(
    ("number", _INT),
    ("pid", _INT),
    ("start_time", _FLOAT),
    ("user", _TEXT),
    ("comm", _TEXT),
    ("cgroup", _TEXT),
    ("ppid", _INT),
    *((name, _INT) for name in CENSUS_NAMES),
    *(pair for name in COUNTER_NAMES for pair in ((name, _INT), (name + "_rate", _FLOAT))),
)
_SLABS = _fields(
    ("number", _INT),
    ("time", _FLOAT),
    ("cache", _TEXT),
    ("objects_active", _INT),
    ("objects", _INT),
    ("object_bytes", _INT),
    ("merged_with", _TEXT),  # blank-separated
    ("barrier", pa.bool_()),  # read after a grace period and a shrink: active objects are live objects
    *ORPHANS,
)
_EVENTS = _fields(
    *((field.name, _EVENT_TYPES[str(field.c_type)]) for field in event.RECORD.fields),
    ("offset", _INT),  # ns to add to a stamp to get unix time
)
_KERNEL_LOG = _fields(
    ("time", _FLOAT),  # when it was read
    ("sequence", _INT),
    ("level", _INT),
    ("since_boot", _FLOAT),  # the kernel's own stamp, seconds
    ("kind", _TEXT),  # the kind of report that starts here (WARN, BUG, ...); null in its other lines
    ("text", _TEXT),
)
_MARKS = _fields(
    ("time", _FLOAT),
    ("stamp", _INT),
    ("kind", _TEXT),
    ("value", _FLOAT),
    ("text", _TEXT),
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


def schema(table: str, system_columns: tuple[str, ...] = ()) -> pa.Schema:
    """Columns of a table. The columns of "system" are the fields of this kernel's vmstat, meminfo and PSI."""
    if table == "system":
        return pa.schema(_fields(("number", _INT), ("time", _FLOAT), *((name, _INT) for name in system_columns)))
    return pa.schema(_FIXED[table])


def why_not_readable(table: str, found: pa.Schema) -> str:
    """Why a file's columns do not fit ``table``; "" if they fit."""
    for name in NEEDED[table]:
        if name not in found.names:
            return f"has no column {name}"
    if len(set(found.names)) != len(found.names):
        return "has two columns of the same name"
    expected = schema(table) if table != "system" else None
    for field in found:
        wanted = expected.field(field.name).type if expected is not None and field.name in expected.names else None
        if table == "system":
            wanted = _FLOAT if field.name == "time" else _INT
        if wanted is not None and field.type != wanted:
            return f"has {field.type} in column {field.name}, not {wanted}"
    return ""
