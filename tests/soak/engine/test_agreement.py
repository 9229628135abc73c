# SPDX-License-Identifier: MIT
"""Spark says the same as DuckDB, and an object store holds the same as a disk, to the last bit."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from lazyobs.recording.errors import RecordingError
from lazyobs.soak.engine import engine, open_engine, series_builder, whole
from tests.harness import ROOT, lazyobs, skip
from tests.recording import made
from tests.soak.engine.comparing import differences
from tests.soak.engine.conftest import SMALL
from tests.soak.engine.test_exactness import made_rows
from tests.soak.generated import make

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas"),
]  # it is not used here


@pytest.fixture(scope="module")
def spark():
    if importlib.util.find_spec("pyspark") is None:
        skip("spark", "pyspark is not installed: pip install pyspark")
    if shutil.which("java") is None:
        skip("spark", "there is no Java runtime: apt-get install openjdk-17-jre-headless")
    with open_engine("spark") as engine:
        yield engine


@pytest.fixture
def s3(monkeypatch):
    """An S3-compatible server on loopback: a function that puts a directory there and gives its URI."""
    if importlib.util.find_spec("moto") is None:
        skip("s3", "moto is not installed: pip install 'moto[s3,server]'")
    from moto.server import ThreadedMotoServer
    from pyarrow import fs

    for name, value in (("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "x"), ("EC2_METADATA_DISABLED", "true")):
        monkeypatch.setenv(f"AWS_{name}", value)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    port = server.get_host_and_port()[1]
    options = f"endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1&allow_bucket_creation=true"

    def put(path: Path) -> str:
        uri = f"s3://soak/{path.name}?{options}"
        system, base = fs.FileSystem.from_uri(uri)
        system.create_dir("soak")
        for file in path.iterdir():
            with system.open_output_stream(f"{base}/{file.name}") as stream:
                stream.write(file.read_bytes())
        return uri

    yield put
    server.stop()


def test_spark_on_an_example(spark, series):
    path = ROOT / "examples/lab"
    assert differences(spark.series(str(path), warm_up=5.0), series(path, warm_up=5.0)) == []


def test_spark_in_bins(spark, small, series, monkeypatch):
    monkeypatch.setattr(series_builder, "MOST_ROWS", 23)
    found = spark.series(str(small), warm_up=101.0)
    assert len(found.samples["time"]) == 22
    assert differences(found, series(small, warm_up=101.0)) == []


def test_spark_on_a_killed_recorder(spark, tmp_path, series):
    """Streams alone, without events or system; and in a directory that Hadoop would take for a pattern."""
    store = made.store(tmp_path / "number=23/[k]illed*")
    for number in range(1, 6):
        made.append_sample(store, number)
        store.append("events", made_rows(made.events(number, 1)))
    shutil.copytree(tmp_path / "number=23/[k]illed*", tmp_path / "{a,b}?")
    store.close()
    for path in (tmp_path / "number=23/[k]illed*", tmp_path / "{a,b}?"):
        assert differences(spark.series(str(path)), series(path)) == []


def test_spark_refuses_too(spark, small, tmp_path):
    shutil.copytree(small, tmp_path / "small")
    shutil.copy(tmp_path / "small/samples-000001.parquet", tmp_path / "small/samples-000005.parquet")
    with pytest.raises(RecordingError, match="is a mixture"):
        spark.series(str(tmp_path / "small"))


@pytest.fixture(scope="module")
def nine(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """As many as Spark gives to its executors whole, whose order is not that of their names."""
    place = tmp_path_factory.mktemp("nine")
    for seed in range(9):
        make(place / f"host-{seed * 7 % 9}", seed, SMALL)
    return [str(place / f"host-{seed * 7 % 9}") for seed in range(9)]


def test_executors_read_recordings_whole(spark, nine, series, monkeypatch, capsys):
    """In the order asked for, to the last bit, and by names that mean nothing in an executor's directory."""
    monkeypatch.setattr(whole, "_ROUND", 4)
    monkeypatch.chdir(Path(nine[0]).parent)
    told: list[float] = []
    found = spark.all_series([os.path.basename(path) for path in nine], told.append, warm_up=101.0)
    assert [one.name for one in found] == [os.path.basename(path) for path in nine]
    assert [differences(one, series(path, warm_up=101.0)) for one, path in zip(found, nine)] == [[]] * 9
    assert told == [4 / 9, 8 / 9, 1.0]
    assert capsys.readouterr().err == ""


def test_executors_refuse_too(spark, nine, tmp_path):
    with pytest.raises(RecordingError, match="there is no such directory"):
        spark.all_series([*nine, str(tmp_path / "none")])


def test_executors_without_lazyobs(spark, nine, series, monkeypatch, capsys):
    """They read one after the other by queries, the same, and say why."""
    monkeypatch.setattr(whole, "__version__", "another")  # here, not in theirs
    monkeypatch.setattr(engine, "_WORTH_PROCESSES", 2)
    found = spark.all_series(nine[:2])
    assert [differences(one, series(path)) for one, path in zip(found, nine)] == [[]] * 2
    assert "the Python of its executors has no lazyobs" in capsys.readouterr().err


def test_a_file_uri(small, series):
    assert differences(series(small.as_uri()), series(small)) == []


def test_an_object_store(s3, small, series):
    assert differences(series(s3(small), warm_up=101.0), series(small, warm_up=101.0)) == []


def test_a_report_on_an_object_store(s3, small):
    """The command itself, byte for byte."""
    here, there = (lazyobs("report", "--json", where) for where in (str(small), s3(small)))
    assert (there.stdout, there.returncode, there.stderr) == (here.stdout, here.returncode, here.stderr)
    assert json.loads(there.stdout)["findings"]


def test_streams_in_an_object_store(s3, tmp_path, series):
    store = made.store(tmp_path / "killed")
    for number in range(1, 6):
        made.append_sample(store, number)
    shutil.copytree(tmp_path / "killed", tmp_path / "copy")
    store.close()
    stream = tmp_path / "copy/samples-000001.arrows"
    stream.write_bytes(stream.read_bytes()[:-23])
    found = series(s3(tmp_path / "copy"))
    assert found.torn == (stream.name,)
    assert len(found.samples["time"]) == 4
    assert differences(dataclasses.replace(found, name="copy"), series(tmp_path / "copy")) == []


def test_what_is_not_in_a_store(s3, small, series):
    uri = s3(small)
    with pytest.raises(RecordingError, match="there is no such directory"):
        series(uri.replace("/small", "/none"))
    with pytest.raises(RecordingError) as raised:
        series(uri.replace("s3://soak", "s3://name:secret@none"))
    assert "s3://none/small" in str(raised.value)
    assert "secret" not in str(raised.value)
    with pytest.raises(RecordingError, match="cannot be opened"):
        series("nowhere://soak/small")


def test_a_series_has_no_more_rows_than_it_says(small, series, monkeypatch):
    for most in (2, 3, 101, 210, 211):
        monkeypatch.setattr(series_builder, "MOST_ROWS", most)
        found = series(small).samples
        assert len(found["time"]) <= most
        assert found["time"][0] == np.min(found["time"])
