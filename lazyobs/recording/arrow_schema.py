# SPDX-License-Identifier: MIT
"""The columns of a recording's tables as Arrow has them, for those who have pyarrow."""

from __future__ import annotations

from collections.abc import Iterable

from lazyobs.recording.arrow import pa
from lazyobs.recording.layout import FLOAT, INT, NEEDED, Column, Kind, columns


def data_type(kind: Kind) -> pa.DataType:
    return pa.binary(kind) if isinstance(kind, int) else pa.type_for_alias(kind)


def schema_of(found: Iterable[Column]) -> pa.Schema:
    return pa.schema([pa.field(column.name, data_type(column.kind)) for column in found])


def schema(table: str, system_columns: tuple[str, ...] = ()) -> pa.Schema:
    """Columns of a table, see layout.columns()."""
    return schema_of(columns(table, system_columns))


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
            wanted = data_type(FLOAT if field.name == "time" else INT)
        if wanted is not None and field.type != wanted:
            return f"has {field.type} in column {field.name}, not {wanted}"
    return ""
