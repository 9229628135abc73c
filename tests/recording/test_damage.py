# SPDX-License-Identifier: MIT
"""Directories that are no recordings, or no longer: one line, exit 3, and nothing executed."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lazyobs.errors import EXIT_REFUSED
from lazyobs.recording.errors import RecordingError
from lazyobs.recording.layout import DESCRIPTION, FORMAT, VERSION
from lazyobs.recording.reader import Recording
from tests.harness import lazyobs
from tests.recording import made
from tests.recording.made import event_rows


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("damage") / "whole"
    store = made.store(path)
    for number in range(1, 6):
        made.append_sample(store, number)
    store.append("events", event_rows(made.events(0, 101), 0))
    store.close()
    return path


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "r")
    return tmp_path / "r"


def read_all(path: Path) -> None:
    recording = Recording(str(path))
    for _ in recording.samples():
        pass
    for _ in recording.events():
        pass


def refused(path: Path, match: str) -> None:
    with pytest.raises(RecordingError, match=match) as caught:
        read_all(path)
    assert caught.value.exit_code == EXIT_REFUSED
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).isprintable()


def describe(path: Path, **changed: Any) -> None:
    """As an earlier lazyobs described it: without checksums."""
    document = {"format": FORMAT, "version": VERSION, "interval": 1.0, "identity": {}, **changed}
    (path / DESCRIPTION).write_text(json.dumps(document))


def test_no_directory(tmp_path: Path) -> None:
    refused(tmp_path / "none", "no such directory")


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    refused(tmp_path / "file", "is not a directory")


def test_empty(tmp_path: Path) -> None:
    refused(tmp_path, "is empty")


def test_foreign(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8")
    refused(tmp_path, "lazyobs did not make it")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"format": "another"}',
        b"[" * 100_000,
        b'{"format":"' + b"x" * (2 << 20),
    ],
)
def test_another_description(copy: Path, content: bytes) -> None:
    (copy / DESCRIPTION).write_bytes(content)
    refused(copy, "is damaged, or not from lazyobs")


def test_a_later_version(copy: Path) -> None:
    describe(copy, version=VERSION + 1)
    refused(copy, f"a later lazyobs made it .format {VERSION + 1}; this one reads {VERSION}.")


@pytest.mark.parametrize("interval", [0, -1, "1", None, 1e9])
def test_no_such_interval(copy: Path, interval: Any) -> None:
    describe(copy, interval=interval)
    refused(copy, "damaged")


def test_the_description_is_a_pipe(copy: Path) -> None:
    """Opening it must not wait for a writer."""
    (copy / DESCRIPTION).unlink()
    os.mkfifo(copy / DESCRIPTION)
    refused(copy, "lazyobs did not make it")


def test_links_are_not_followed(copy: Path) -> None:
    (copy / "samples-000001.parquet").rename(copy / "elsewhere")
    (copy / "samples-000001.parquet").symlink_to("elsewhere")
    refused(copy, "damaged")


def test_parquet_cut_off(copy: Path) -> None:
    file = copy / "samples-000001.parquet"
    content = file.read_bytes()
    for length in range(0, len(content), 101):
        file.write_bytes(content[:length])
        refused(copy, "samples-000001.parquet is damaged")


@pytest.mark.parametrize("name", ["samples-000001.parquet", "events-000001.parquet", DESCRIPTION])
def test_changed_anywhere(copy: Path, name: str) -> None:
    """Each byte counts: nothing of the file is outside of its checksum."""
    file = copy / name
    content = file.read_bytes()
    chance = random.Random(1009)
    for _ in range(211):
        place = chance.randrange(len(content))
        changed = bytearray(content)
        changed[place] ^= 1 << chance.randrange(8)
        file.write_bytes(changed)
        try:
            read_all(copy)
        except RecordingError as error:
            assert f"{name} is damaged" in str(error)
        else:
            # One letter of the key: an earlier lazyobs wrote no such key. The other files still have their checksums.
            assert name == DESCRIPTION and b'"checksum"' not in changed


def test_a_file_without_its_checksum(copy: Path) -> None:
    """recording.json says that there is one."""
    rows = pq.read_table(copy / "samples-000001.parquet").replace_schema_metadata(None)
    pq.write_table(rows, copy / "samples-000001.parquet")
    refused(copy, "it has no checksum")
    describe(copy)
    read_all(copy)
    assert not Recording(str(copy)).checksummed


def test_pages_have_checksums_for_other_tools(copy: Path) -> None:
    """Parquet's own, too: whoever opens the file without lazyobs can verify it."""
    file = copy / "samples-000001.parquet"
    content = bytearray(file.read_bytes())
    column = pq.ParquetFile(file).metadata.row_group(0).column(1)
    content[
        column.data_page_offset
        + column.total_compressed_size
        - 1
        - (column.data_page_offset - (column.dictionary_page_offset or column.data_page_offset))
    ] ^= 1
    with pytest.raises(OSError, match="CRC checksum verification failed"):
        pq.ParquetFile(pa.BufferReader(bytes(content)), page_checksum_verification=True).read()


def test_columns_of_another_type(copy: Path) -> None:
    describe(copy)
    pq.write_table(pa.table({"number": [1], "time": ["now"], "document": ["{}"]}), copy / "samples-000001.parquet")
    refused(copy, "has string in column time, not double")


def test_columns_missing(copy: Path) -> None:
    describe(copy)
    pq.write_table(pa.table({"number": [1], "time": [1.0]}), copy / "samples-000001.parquet")
    refused(copy, "has no column document")


@pytest.mark.parametrize("document", ["", "{}", "[" * 100_000, "NaN", '{"time":NaN}', '"\x1b[2J"'])
def test_a_document_that_is_no_sample(copy: Path, document: str) -> None:
    describe(copy)
    pq.write_table(pa.table({"number": [1], "time": [1.0], "document": [document]}), copy / "samples-000001.parquet")
    refused(copy, "sample 1 is damaged")


class _Runs:
    """Unpickled, it would make a file."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self._path,)


@pytest.mark.parametrize("form", ["parquet", "arrows"])
def test_nothing_is_unpickled(copy: Path, tmp_path: Path, form: str) -> None:
    """Arrow's Python extension types once were pickles in the schema; ours is read without running it."""
    describe(copy)
    trap = tmp_path / "sprung"
    field = pa.field(
        "document",
        pa.string(),
        metadata={
            b"ARROW:extension:name": b"arrow.py_extension_type",
            b"ARROW:extension:metadata": pickle.dumps(_Runs(str(trap))),
        },
    )
    schema = pa.schema([("number", pa.int64()), ("time", pa.float64()), field])
    table = pa.table({"number": [1], "time": [1.0], "document": ["{}"]}).cast(schema)
    for old in copy.glob("samples-*"):
        old.unlink()
    if form == "parquet":
        pq.write_table(table, copy / "samples-000001.parquet")
    else:
        with pa.OSFile(str(copy / "samples-000001.arrows"), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
            writer.write_table(table)
    with pytest.raises(RecordingError):
        read_all(copy)
    assert not trap.exists()


@pytest.mark.parametrize("command", [["top", "-b"], ["census"], ["trace"]])
@pytest.mark.parametrize("kind", ["none", "empty", "later", "cut"])
def test_commands_say_it_in_one_line(copy: Path, tmp_path: Path, command: list[str], kind: str) -> None:
    path = {"none": tmp_path / "none", "empty": tmp_path / "empty", "later": copy, "cut": copy}[kind]
    if kind == "empty":
        path.mkdir()
    elif kind == "later":
        describe(copy, version=VERSION + 1)
    elif kind == "cut":
        for file in copy.glob("*.parquet"):
            file.write_bytes(file.read_bytes()[:-101])
    done = lazyobs(*command, "--replay", str(path))
    assert done.returncode == EXIT_REFUSED
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("lazyobs: recording ")
