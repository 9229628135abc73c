# SPDX-License-Identifier: MIT
"""Values that lazyobs does not write, and that the readers of a recording therefore do not expect: a missing identity,
a number that is not finite, a time that no calendar has."""

from __future__ import annotations

import pyarrow.compute as pc

from lazyobs.recording.arrow import pa

# Columns in which each row has a value. (A mark without a time is left out by its readers.)
_NEVER_NULL = {
    "samples": ("number", "time", "document"),
    "processes": ("number", "pid", "start_time", "user", "comm"),
    "slabs": ("time", "cache"),
    "events": (),  # all of them, see below
    "kernel_log": ("time", "text"),
    "marks": ("kind",),
    "system": ("number", "time"),
}
_LATEST = 2.5e11  # unix seconds: the year 9892; calendars end with 9999
_MOST_OFFSET = 1 << 62  # ns between unix time and CLOCK_BOOTTIME


def why_not_ours(table: str, batch: pa.RecordBatch) -> str:
    """Why these rows are not from lazyobs; "" if they may be."""
    names = batch.schema.names
    for name in _NEVER_NULL[table]:
        if name in names and batch.column(name).null_count:
            return f"has no {name} in a row"
    for field in batch.schema:
        if pa.types.is_floating(field.type) and not _all(pc.is_finite(batch.column(field.name))):
            return f"has a {field.name} that is not finite"
    if "time" in names and not _within(batch.column("time"), 0, _LATEST):
        return "has a time that is none"
    if table == "events" and "offset" in names:
        if not _within(batch.column("offset"), -_MOST_OFFSET, _MOST_OFFSET):
            return "has an offset that is none"
        if any(batch.column(name).null_count for name in names):
            return "has an event that lacks something"
    return ""


def _all(found: pa.Array) -> bool:
    """Whether no value is false; nulls and no values at all are well."""
    return pc.all(found, min_count=0).as_py() is not False


def _within(column: pa.Array, low: float, high: float) -> bool:
    return _all(pc.and_(pc.greater_equal(column, low), pc.less_equal(column, high)))
