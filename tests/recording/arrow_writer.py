# SPDX-License-Identifier: MIT
"""Streams as pyarrow writes them: a second writer, to compare with, and for forms that recordings no longer have."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from lazyobs.recording import seal
from lazyobs.recording.arrow import pa
from lazyobs.recording.arrow_schema import schema_of
from lazyobs.recording.encoder import Columns, Packed
from lazyobs.recording.layout import Column


class StreamWriter:
    """Turns batches into sealed messages. ``number`` and ``rows`` count what was accepted so far."""

    def __init__(self, schema: pa.Schema, compression: str | None = None) -> None:
        self.number = self.rows = 0
        self._pending = io.BytesIO()
        self._writer = pa.ipc.new_stream(
            pa.PythonFile(self._pending, "w"),
            schema.with_metadata({seal.KEY: seal.UNSEALED_MESSAGE}),
            options=pa.ipc.IpcWriteOptions(compression=compression, use_threads=False),
        )

    def messages(self, batch: pa.RecordBatch) -> bytes:
        """The bytes to append to the file: the batch, before the first one also the schema."""
        self._writer.write_batch(batch, custom_metadata={seal.KEY: seal.UNSEALED_MESSAGE})
        raw = bytearray(self._pending.getvalue())
        self._pending.seek(0)
        self._pending.truncate()
        schema = raw[: seal.header_length(raw)] if self.number == 0 else bytearray()
        message = raw[len(schema) :]
        if schema:
            seal.seal_message(schema, 0, 0, 0)
            self.number = 1
        seal.seal_message(message, self.number, self.rows, batch.num_rows)
        self.number += 1
        self.rows += batch.num_rows
        return bytes(schema + message)


class ArrowEncoder:
    """What Encoder (recording/encoder.py) does."""

    def __init__(self, columns: Sequence[Column], compression: str | None) -> None:
        self._schema = schema_of(columns)
        self._writer = StreamWriter(self._schema, compression)

    def messages(self, columns: Columns, rows: int) -> bytes:
        arrays = [_array(field, columns.get(field.name, [None] * rows)) for field in self._schema]
        return self._writer.messages(pa.RecordBatch.from_arrays(arrays, schema=self._schema))


def _array(field: pa.Field, values: Any) -> pa.Array:
    if isinstance(values, Packed):
        return pa.Array.from_buffers(field.type, values.rows, [None, pa.py_buffer(values.raw)])
    return pa.array(values, field.type)
