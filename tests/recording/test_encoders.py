# SPDX-License-Identifier: MIT
"""A stream holds the same rows as one that pyarrow writes, and a recording that stays streams as one in Parquet."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lazyobs.bpf import event
from lazyobs.recording import events, finish
from lazyobs.recording.arrow import pa
from lazyobs.recording.encoder import END, Encoder
from lazyobs.recording.flatbuffer import Number, Structs, Table, Tables, written
from lazyobs.recording.layout import TABLES, Column, columns
from lazyobs.recording.reader import Recording
from lazyobs.recording.stream import StreamReader
from lazyobs.recording.writer import Limits, Store
from tests.harness import lazyobs
from tests.recording import made
from tests.recording.arrow_writer import ArrowEncoder

SYSTEM = tuple(f"vmstat_{number}" for number in range(53))


def value(kind: str | int, chance: random.Random) -> Any:
    if kind == "string":
        return chance.choice(["", "bash", "日本", "a\0b", "x" * 1009])
    if kind == "bool":
        return chance.random() < 0.5
    if isinstance(kind, int):
        return bytes(chance.randrange(256) for _ in range(kind))
    if kind == "float64":
        return chance.choice([0.0, -0.0, 1e300, -2.5, 0.1])
    bits = int(kind.removeprefix("u").removeprefix("int"))
    return chance.randrange(1 << bits) if kind.startswith("u") else chance.randrange(-(1 << bits - 1), 1 << bits - 1)


def batches(found: Sequence[Column], nulls: float) -> list[tuple[dict[str, Any], int]]:
    """Batches of one, eight and many rows; a column is left out of each."""
    chance, made = random.Random(nulls), []
    for rows in (1, 1, 8, 211, 211):
        left_out = chance.choice(found).name
        made.append(
            (
                {
                    column.name: [None if chance.random() < nulls else value(column.kind, chance) for _ in range(rows)]
                    for column in found
                    if column.name != left_out
                },
                rows,
            )
        )
    return [*made, made[-1]]  # the last rows again: columns that have not changed


def read(
    maker: Callable[[Sequence[Column], str | None], Encoder | ArrowEncoder],
    table: str,
    compression: str | None,
    nulls: float,
):
    found = columns(table, SYSTEM)
    one = maker(found, compression)
    raw = b"".join(one.messages(given, rows) for given, rows in batches(found, nulls))
    reader = StreamReader("stream", raw + END, sealed=True)
    read = list(reader.batches())
    assert (reader.torn, reader.damage) == (False, None)
    return read


@pytest.mark.parametrize("nulls", [0, 0.3, 1])
@pytest.mark.parametrize("compression", [None, "lz4"])
@pytest.mark.parametrize("table", TABLES)
def test_both_write_the_same_rows(table: str, compression: str | None, nulls: float) -> None:
    plain = read(Encoder, table, compression, nulls)
    assert plain == read(ArrowEncoder, table, compression, nulls)
    assert [batch.num_rows for batch in plain] == [1, 1, 8, 211, 211, 211]


def test_events_of_both_are_the_records(tmp_path: Path) -> None:
    """Fields of every size, each with values of its own."""
    chance = random.Random(101)
    records = bytes(chance.randrange(256) for _ in range(103 * event.BYTES))
    rows = events.event_rows(records, -5)
    found = []
    for maker in (Encoder, ArrowEncoder):
        raw = maker(columns("events"), "lz4").messages(rows, 103)
        (batch,) = StreamReader("stream", raw, sealed=True).batches()
        found.append(batch)
    assert found[0] == found[1]
    values = list(struct.iter_unpack(event.LAYOUT.format, records))
    assert [tuple(row[name] for name in event.Event._fields) for row in found[0].to_pylist()] == values
    assert set(found[0].column("offset").to_pylist()) == {-5}


def recording(path: Path, finishing: finish.Finish | None) -> Store:
    store = made.store(path, Limits(segment_bytes=100_000), finishing=finishing)
    for number in range(1, 24):
        made.append_sample(store, number)
        store.append("events", made.event_rows(made.events(number * 101, 101), 5))
        store.maintain()
    return store


def test_a_recording_without_pyarrow_is_read_like_another(tmp_path: Path) -> None:
    recording(tmp_path / "with", None).close()
    store = recording(tmp_path / "without", finish.without_pyarrow("pyarrow is not installed"))
    assert store.note.startswith("pyarrow is not installed: the recording stays Arrow streams")
    store.close()
    found = [Recording(str(tmp_path / name)) for name in ("with", "without")]
    for table in TABLES:
        assert list(found[0].rows(table)) == list(found[1].rows(table))
    assert [sample.as_json() for sample in found[0].samples()] == [sample.as_json() for sample in found[1].samples()]
    assert found[0].notes() == found[1].notes() == []
    assert len(found[1].segments) > 2
    assert not list((tmp_path / "without").glob("*.parquet"))
    shown = [lazyobs("top", "--replay", str(one.path), "-o", "json").stdout for one in found]
    assert shown[0] == shown[1] != ""


def test_one_that_was_killed_has_no_end(tmp_path: Path) -> None:
    recording(tmp_path / "r", finish.without_pyarrow("pyarrow is not installed"))
    (note,) = Recording(str(tmp_path / "r")).notes()
    assert note.startswith("has no end")


@pytest.mark.parametrize("error", ["pyarrow", "numpy"])
def test_without_pyarrow_streams_stay(monkeypatch: pytest.MonkeyPatch, error: str) -> None:
    real = __import__

    def without(name: str, *more: Any, **options: Any) -> Any:
        if name == "lazyobs.recording.parquet_segment":
            raise ModuleNotFoundError(f"No module named {error!r}", name=error)
        return real(name, *more, **options)

    monkeypatch.setattr("builtins.__import__", without)
    found = finish.best()
    assert found.convert is None and found.note.startswith(f"{error} is not installed")
    error = "flatbuffers"
    with pytest.raises(ModuleNotFoundError):
        finish.best()


def test_a_flatbuffer_has_what_was_written() -> None:
    """Every kind of field, read by pyarrow's own reader of a schema."""
    field = Table(["näme", Number("B", 1), Number("B", 2), Table([Number("i", 16), Number("B", 1)]), None, Tables([])])
    schema = Table([Number("h", 0), Tables([field, field]), Tables([Table(["key", "värue"])]), Structs(1, [])])
    header = written(Table([Number("h", 4), Number("B", 1), schema, Number("q", 0)]))
    assert len(header) % 8 == 0
    found = pa.ipc.read_schema(pa.py_buffer(struct.pack("<4si", b"\xff" * 4, len(header)) + header))
    assert [(one.name, one.type, one.nullable) for one in found] == [("näme", pa.int16(), True)] * 2
    assert found.metadata == {b"key": "värue".encode()}
