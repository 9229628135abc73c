# SPDX-License-Identifier: MIT
"""What an engine does not take for a recording, and what DuckDB may not do."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lazyobs.errors import NotSupported, UsageError
from lazyobs.recording.errors import RecordingError
from lazyobs.soak.engine import open_engine
from lazyobs.soak.engine.duckdb import _connect
from tests.soak.generated import Shape, make


@pytest.fixture
def copy(small, tmp_path):
    path = tmp_path / "small"
    shutil.copytree(small, path)
    return path


def _refused(series, path, *words):
    with pytest.raises(RecordingError) as raised:
        series(path)
    assert all(word in str(raised.value) for word in words), str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_same_segment_twice(copy, series):
    shutil.copy(copy / "samples-000001.parquet", copy / "samples-000005.parquet")
    _refused(series, copy, "is a mixture", "264 samples have 211 numbers")


def test_a_segment_of_another_recording(copy, tmp_path, series):
    """Numbers go on, stamps do not."""
    make(tmp_path / "other", 7, Shape(samples=265, events=1, processes=1, segment_samples=53))
    rows = pq.read_table(tmp_path / "other/samples-000005.parquet")
    stamps = pa.array([stamp.as_py() - 10**12 for stamp in rows["stamp"]])
    rows = rows.set_column(rows.column_names.index("stamp"), "stamp", stamps)
    pq.write_table(rows, copy / "samples-000005.parquet")
    _refused(series, copy, "is a mixture", "not in the order of their stamps")


@pytest.mark.parametrize("table", ["samples", "slabs", "events", "system", "processes", "marks"])
def test_a_link_is_not_followed(copy, tmp_path, series, table):
    file = next(copy.glob(f"{table}-*.parquet"))
    file.rename(tmp_path / "elsewhere.parquet")
    file.symlink_to(tmp_path / "elsewhere.parquet")
    _refused(series, copy, file.name)


def test_a_pipe_is_not_opened(copy, series):
    (copy / "events-000002.parquet").unlink()
    os.mkfifo(copy / "events-000002.parquet")
    _refused(series, copy, "events-000002.parquet")


@pytest.mark.parametrize("table", ["samples", "events", "system"])
def test_a_column_of_another_type(copy, series, table):
    file = copy / f"{table}-000003.parquet"
    rows = pq.read_table(file)
    name = {"samples": "forks", "events": "duration", "system": "vmstat_pgfault"}[table]
    texts = pa.array(["1"] * len(rows))
    pq.write_table(rows.set_column(rows.column_names.index(name), name, texts), file)
    _refused(series, copy, file.name, name)


@pytest.mark.parametrize("where", [0.25, 0.5, 0.75])
def test_damaged_bytes(copy, series, where):
    """Either said to be damaged, or so far from what is read that nothing changes."""
    file = copy / "samples-000002.parquet"
    raw = bytearray(file.read_bytes())
    place = int(len(raw) * where)
    raw[place : place + 101] = b"\xff" * 101
    file.write_bytes(raw)
    try:
        found = series(copy)
    except RecordingError as error:
        assert "damaged" in str(error)
    else:
        assert len(found.samples["time"]) == 211


def test_cut_off_parquet(copy, series):
    file = copy / "slabs-000002.parquet"
    file.write_bytes(file.read_bytes()[:-23])
    _refused(series, copy, "slabs-000002.parquet is damaged")


def test_a_document_that_is_no_sample(copy, series):
    file = copy / "samples-000004.parquet"
    rows = pq.read_table(file)
    texts = pa.array(["[]"] * len(rows))
    pq.write_table(rows.set_column(rows.column_names.index("document"), "document", texts), file)
    _refused(series, copy, "sample 211 is damaged")


def test_a_later_version(copy, series):
    description = json.loads((copy / "recording.json").read_text())
    (copy / "recording.json").write_text(json.dumps({**description, "version": 2}))
    _refused(series, copy, "a later lazyobs made it")


def test_not_a_recording(tmp_path, series):
    _refused(series, tmp_path / "none", "there is no such directory")
    _refused(series, tmp_path, "is empty")
    (tmp_path / "samples-000001.parquet").write_bytes(b"PAR1")
    _refused(series, tmp_path, "has no recording.json")


def test_no_sample(copy, series):
    for file in copy.glob("samples-*"):
        file.unlink()
    _refused(series, copy, "holds no sample")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('{there}')",
        "SELECT * FROM read_parquet('{there}')",
        "SELECT * FROM '{there}'",
        "COPY (SELECT 1) TO '{new}'",
        "ATTACH '{new}'",
        "EXPORT DATABASE '{new}'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
        "SELECT * FROM glob('/etc/*')",
        "SET enable_external_access = true",
        "SET allowed_paths = ['{there}']",
    ],
)
def test_duckdb_may_do_nothing_else(small, tmp_path, statement):
    allowed, there = small / "samples-000001.parquet", small / "samples-000002.parquet"
    connection = _connect([str(allowed)])
    assert connection.read_parquet(str(allowed)).count("*").fetchall() == [(53,)]
    with pytest.raises(duckdb.Error):
        connection.execute(statement.format(there=there, new=tmp_path / "new")).fetchall()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_becomes_a_link(small, tmp_path):
    """Between being looked at and being read: DuckDB resolves links before it compares."""
    path = tmp_path / "samples-000001.parquet"
    shutil.copy(small / path.name, path)
    connection = _connect([str(path)])
    path.unlink()
    path.symlink_to(small / path.name)
    with pytest.raises(duckdb.Error):
        connection.read_parquet(str(path)).fetchall()


def test_engines_that_are_not_there(monkeypatch):
    with pytest.raises(UsageError, match="use duckdb or spark"):
        open_engine("postgres")
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ibis" else there(name))
    with pytest.raises(NotSupported, match="needs ibis-framework; pip install ibis-framework") as raised:
        open_engine("duckdb")
    assert raised.value.exit_code == 3
