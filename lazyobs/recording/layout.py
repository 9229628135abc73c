# SPDX-License-Identifier: MIT
"""A recording on disk: which files there are, and the columns of each table.

A directory holds recording.json (format, version, identity) and numbered segments; a segment has one file
a table: <table>-<number>.arrows while it is written (Arrow IPC stream), .parquet afterwards. docs/recordings.md
is for those who read it with other tools.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lazyobs.bpf import event
from lazyobs.model import CENSUS_NAMES, COUNTER_NAMES, HEALTH_NAMES
from lazyobs.recording.arrow import pa

FORMAT = "lazyobs recording"
VERSION = 1  # changes when a reader of the version before would misread it; new columns do not change it
DESCRIPTION = "recording.json"
KEPT = "kept.json"
RESERVE = "reserve"
STREAM, PARQUET = "arrows", "parquet"

# In the order they are written in a tick: the sample comes last, so where it is, all of it is.
TABLES = ("events", "kernel_log", "system", "slabs", "marks", "processes", "samples")
_FILE = re.compile(rf"({'|'.join(TABLES)})-([0-9]{{6,9}})\.({STREAM}|{PARQUET})")

_TEXT, _INT, _FLOAT = pa.string(), pa.int64(), pa.float64()
_EVENT_TYPES = {"u64": pa.uint64(), "u32": pa.uint32(), "u16": pa.uint16(), "u8": pa.uint8(), "char": pa.binary(16)}


class SegmentFile(NamedTuple):
    """A file of a segment, by its name."""

    table: str
    number: int
    form: str

    @property
    def name(self) -> str:
        return f"{self.table}-{self.number:06d}.{self.form}"


def segment_file(name: str) -> SegmentFile | None:
    """What the file of that name is; None where it is none of ours."""
    found = _FILE.fullmatch(name)
    return SegmentFile(found[1], int(found[2]), found[3]) if found else None


def _fields(*pairs: tuple[str, pa.DataType]) -> list[pa.Field]:
    return [pa.field(name, kind) for name, kind in pairs]


_SAMPLES = _fields(
    ("number", _INT),
    ("time", _FLOAT),
    ("elapsed", _FLOAT),
    ("stamp", _INT),  # CLOCK_BOOTTIME, ns
    ("document", _TEXT),  # the sample's JSON without its processes: what replay shows
    *((name, _INT) for name in (*COUNTER_NAMES, *CENSUS_NAMES)),  # the same again, for queries
    *(("health_" + name, _FLOAT) for name in HEALTH_NAMES),
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
    ("barrier", pa.bool_()),  # read after a grace period and a shrink: active is live
)
_EVENTS = _fields(
    *((field.name, _EVENT_TYPES[str(field.c_type)]) for field in event.RECORD.fields),
    ("offset", _INT),  # what makes a stamp unix time, ns
)
_KERNEL_LOG = _fields(
    ("time", _FLOAT),  # when it was read
    ("sequence", _INT),
    ("level", _INT),
    ("since_boot", _FLOAT),  # the kernel's own stamp, seconds
    ("kind", _TEXT),  # what begins here (WARN, BUG, ...); null in the lines that follow
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
# Columns that a reader cannot do without; any other may be missing in the recording of another version.
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
    """Columns of a table. Those of "system" are what this kernel's vmstat, meminfo and PSI have."""
    if table == "system":
        return pa.schema(_fields(("number", _INT), ("time", _FLOAT), *((name, _INT) for name in system_columns)))
    return pa.schema(_FIXED[table])


def why_not_readable(table: str, found: pa.Schema) -> str:
    """Why a file's columns cannot be those of ``table``; "" when they can."""
    for name in NEEDED[table]:
        if name not in found.names:
            return f"has no column {name}"
    if len(set(found.names)) != len(found.names):
        return "has two columns of one name"
    expected = schema(table) if table != "system" else None
    for field in found:
        wanted = expected.field(field.name).type if expected is not None and field.name in expected.names else None
        if table == "system":
            wanted = _FLOAT if field.name == "time" else _INT
        if wanted is not None and field.type != wanted:
            return f"has {field.type} in column {field.name}, not {wanted}"
    return ""
