# SPDX-License-Identifier: MIT
"""Recordings by others: whatever values their tables hold, a command shows them or refuses in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lazyobs.errors import EXIT_REFUSED
from lazyobs.recording.description import LaterVersion, read_description, write_description
from lazyobs.recording.layout import DESCRIPTION
from lazyobs.recording.stream import StreamReader, TooLarge
from tests.fuzz.fuzzing import bounded, nearly, tries
from tests.harness import ROOT
from tests.recording.readers import COMMANDS
from tests.recording.test_stream import stream

EXAMPLE = ROOT / "examples/lab"
TABLES = ("samples", "processes", "slabs", "events", "marks", "system")
WHOLE = write_description({"release": "6.1.0", "tiers": {"slab": None}}, 1.0)


@tries(300)
@given(content=nearly(WHOLE, WHOLE.replace(b"checksum", b"checksun")))
@example(content=b"[" * 100_000)
@example(content=b'{"format":' + b"9" * 5000)
@example(content=b'{"format": "lazyobs recording", "version": true, "interval": NaN, "identity": {}}')
@example(content=b'{"format": "lazyobs recording", "version": 1, "interval": 1, "identity": {}, "checksum": 5}')
def test_descriptions(content: bytes) -> None:
    found = bounded(lambda: read_description(content), ValueError, LaterVersion, RecursionError)
    assert found is None or 0 < found.interval < 1e6


STREAM, _ = stream()


@tries(200)
@given(content=nearly(STREAM), sealed=st.booleans())
def test_streams(content: bytes, sealed: bool) -> None:
    reader = StreamReader("x", content, sealed)
    rows = bounded(
        lambda: sum(batch.num_rows for batch in reader.batches()), TooLarge, ValueError, OSError, pa.ArrowException
    )
    assert rows == 707 or rows is None or reader.torn or reader.damage is not None


_NUMBERS = st.one_of(
    st.none(),
    st.sampled_from([0, -1, 1, 255, 1 << 31, 1 << 40, (1 << 63) - 1, -(1 << 63)]),
    st.sampled_from([float("nan"), float("inf"), -1e300, 1e300, 1e18, 0.5]),
    st.sampled_from(["", "\x1b[2J", "\u202e", "x" * 5000, "{}", "[" * 5000, "null", '{"time":1}']),
)


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = tmp_path_factory.mktemp("values")
    shutil.copytree(EXAMPLE, root / "r")
    shutil.copytree(ROOT / "examples/debian-6.12", root / "base")
    for run in COMMANDS.values():
        run(str(root / "r"))  # what it imports is not what a value takes
    return root


@pytest.mark.slow
@tries(25)
@given(data=st.data())
def test_values(copies: Path, data: st.DataObject) -> None:
    """One value of one table is another of its type."""
    table = data.draw(st.sampled_from(TABLES))
    rows = pq.read_table(EXAMPLE / f"{table}-000001.parquet")
    column = data.draw(st.integers(0, rows.num_columns - 1))
    row = data.draw(st.integers(0, rows.num_rows - 1))
    value = data.draw(_NUMBERS)
    file = copies / "r" / f"{table}-000001.parquet"
    try:
        changed = _with(rows, column, row, value)
    except (pa.ArrowException, TypeError, OverflowError, ValueError):
        return  # of another type
    pq.write_table(changed, file, store_schema=False)
    try:
        for name, run in COMMANDS.items():
            answer = bounded(lambda run=run: run(str(copies / "r")))  # type: ignore[misc]
            assert answer is not None and answer.status in (0, 1, EXIT_REFUSED), name
            if answer.status == EXIT_REFUSED:
                assert len(answer.err.splitlines()) <= 2 and "Traceback" not in answer.err, (name, answer.err)
            assert "\x1b" not in answer.err and "\x1b" not in answer.out, name
    finally:
        shutil.copyfile(EXAMPLE / file.name, file)


def _with(rows: pa.Table, column: int, row: int, value: Any) -> pa.Table:
    """The table with one other value."""
    field = rows.schema.field(column)
    other = pa.array([value], field.type)
    old = rows.column(column)
    new = pa.chunked_array([*old.slice(0, row).chunks, other, *old.slice(row + 1).chunks], field.type)
    return rows.set_column(column, field, new)


@tries(100)
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9)),
        lambda part: st.one_of(st.lists(part, max_size=4), st.dictionaries(st.text(max_size=9), part, max_size=4)),
    )
)
def test_documents(value: Any) -> None:
    """Any JSON, and a sample with it in any place."""
    from lazyobs.model import Sample
    from lazyobs.recording.samples import read_sample
    from tests.recording.samples import sample

    text = json.dumps(value)
    bounded(lambda: read_sample(text, []), ValueError)
    whole = sample(1, 0).as_json_but_processes()
    for key in whole:
        found = bounded(lambda key=key: read_sample(json.dumps({**whole, key: value}), []), ValueError)  # type: ignore[misc]
        assert found is None or isinstance(found, Sample)


def test_the_example_is_read(copies: Path) -> None:
    assert (copies / "r" / DESCRIPTION).exists()
    for name in ("top", "trace", "export"):
        assert COMMANDS[name](str(copies / "r")).status == 0
