# SPDX-License-Identifier: MIT
"""Rows to a stream with pyarrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazyobs.recording.arrow import pa
from lazyobs.recording.arrow_schema import schema_of
from lazyobs.recording.encoder import Columns, Packed
from lazyobs.recording.layout import FLOAT, INT, Column
from lazyobs.recording.stream import StreamWriter


class ArrowEncoder:
    """An Encoder (recording/encoder.py)."""

    def __init__(self, columns: Sequence[Column], compression: str | None) -> None:
        self._schema = schema_of(columns)
        self._writer = StreamWriter(self._schema, compression)
        self._names = {kind: [column.name for column in columns if column.kind == kind] for kind in (INT, FLOAT)}
        self._before: dict[str, tuple[Sequence[Any], pa.Array]] = {}  # of the last rows, by column

    def messages(self, columns: Columns, rows: int) -> bytes:
        arrays = self._slices(columns) if rows == 1 else {}
        for field in self._schema:
            if field.name not in arrays:
                arrays[field.name] = self._array(field, columns.get(field.name, [None] * rows))
        batch = pa.RecordBatch.from_arrays([arrays[name] for name in self._schema.names], schema=self._schema)
        return self._writer.messages(batch)

    def _slices(self, columns: Columns) -> dict[str, pa.Array]:
        """The numbers of a single row, as slices of one array: to make 200 arrays takes 1.5 ms."""
        found: dict[str, pa.Array] = {}
        for kind, names in self._names.items():
            values = {name: columns.get(name, (None,)) for name in names}
            lists = {name: value[0] for name, value in values.items() if not isinstance(value, Packed)}
            array = pa.array(list(lists.values()), pa.type_for_alias(kind))
            found.update((name, array.slice(place, 1)) for place, name in enumerate(lists))
        return found

    def _array(self, field: pa.Field, values: Any) -> pa.Array:
        """A column. Lists are seldom others than those of the rows before, and to compare them takes a tenth of the time
        that it takes to convert them."""
        if isinstance(values, Packed):
            return pa.Array.from_buffers(field.type, values.rows, [None, pa.py_buffer(values.raw)])
        before = self._before.get(field.name)
        if before is not None and before[0] == values:
            return before[1]
        array = pa.array(values, field.type)
        self._before[field.name] = values, array
        return array
