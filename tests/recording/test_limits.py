# SPDX-License-Identifier: MIT
"""Files that inflate to hundreds of megabytes are refused in one line, before memory is spent on them."""

from __future__ import annotations

import errno
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lazyobs.errors import EXIT_REFUSED
from lazyobs.recording import limits
from lazyobs.recording.description import read_description
from lazyobs.recording.layout import DESCRIPTION, FORMAT, VERSION
from lazyobs.recording.reader import Recording
from lazyobs.recording.stream import StreamReader, TooLarge
from tests.harness import ROOT, lazyobs, python
from tests.recording.arrow_writer import StreamWriter

_HUGE = 700 << 20
_MOST_MEMORY = 400 << 20  # of a command that imports pyarrow and duckdb

SAMPLES = pa.schema([("number", pa.int64()), ("time", pa.float64()), ("document", pa.string())])

# In a process of their own: to make them takes what the tests forbid.
_MAKE = """
import sys, pyarrow as pa, pyarrow.parquet as pq
from tests.recording.arrow_writer import StreamWriter
from tests.recording.test_limits import SAMPLES, _HUGE
kind, path = sys.argv[1:]
if kind == "rows":  # a thousand, through the dictionary
    table = pa.table({"number": range(1000), "time": [1.0] * 1000, "document": ["x" * (_HUGE // 1000)] * 1000}, SAMPLES)
else:
    table = pa.table({"number": [1], "time": [1.0], "document": ["x" * _HUGE]}, SAMPLES)
if kind == "stream":
    with open(path + "/samples-000001.arrows", "wb") as file:
        file.write(StreamWriter(SAMPLES, "zstd").messages(table.to_batches()[0]))
else:
    pq.write_table(table, path + "/samples-000001.parquet", compression="zstd", use_dictionary=kind == "rows")
"""


def bomb(path: Path, kind: str) -> Path:
    path.mkdir()
    document = {"format": FORMAT, "version": VERSION, "interval": 1.0, "identity": {}}
    (path / DESCRIPTION).write_text(json.dumps(document))
    _, err, code = python(_MAKE, kind, path)
    assert code == 0, err
    assert sum(file.stat().st_size for file in path.iterdir()) < 1 << 20
    return path


# Runs a command, and says how much memory it took at most.
_RUN = """
import os, sys
pid = os.posix_spawn(sys.executable, [sys.executable, "-m", "lazyobs", *sys.argv[1:]], os.environ)
_, status, usage = os.wait4(pid, 0)
print("peak", usage.ru_maxrss * 1024, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["page", "stream"])
def test_a_document_of_700_megabytes(tmp_path: Path, kind: str) -> None:
    path = bomb(tmp_path / "bomb", kind)
    for command in (["top", "-b", "--replay"], ["census", "--replay"], ["export", "--replay"], ["report"]):
        out, err, code = python(_RUN, *command, path)
        line, peak = err.splitlines()
        assert (out, code) == ("", EXIT_REFUSED), command
        assert "the limit is" in line and line.startswith("lazyobs: recording "), line
        assert int(peak.split()[1]) < _MOST_MEMORY, command


@pytest.mark.slow
def test_a_dictionary_is_not_spread_out_at_once(tmp_path: Path) -> None:
    """A thousand rows of one value of 700 kB are within the limits; each is refused as no document, one at a time."""
    path = bomb(tmp_path / "bomb", "rows")
    out, err, code = python(_RUN, "top", "-b", "--replay", path)
    line, peak = err.splitlines()
    assert (out, code) == ("", EXIT_REFUSED) and "sample 0 is damaged" in line
    assert int(peak.split()[1]) < _MOST_MEMORY


def test_a_claim_in_a_page_header_alone(tmp_path: Path) -> None:
    """The footer says 100 bytes, the page 1.9 GB: the page counts, because a decoder allocates what it says."""
    sink = io.BytesIO()
    pq.write_table(pa.table({"number": [1], "time": [1.0], "document": ["{}"]}), sink, use_dictionary=False)
    raw = bytearray(sink.getvalue())
    metadata = pq.ParquetFile(pa.BufferReader(bytes(raw))).metadata
    at = metadata.row_group(0).column(2).data_page_offset
    # PageHeader: field 1 (type), then field 2, the decompressed size: a zigzag varint of one byte here.
    assert raw[at : at + 3] == b"\x15\x00\x15" and raw[at + 3] < 128
    from lazyobs.recording.pages import look_at_pages

    look_at_pages(memoryview(raw), metadata)
    claim = b"\x80\x80\x80\x80\x0f"  # 2 x 2,013,265,920, as zigzag has it
    with pytest.raises(ValueError, match="a page of 1920 MiB, the limit is 64 MiB"):
        look_at_pages(memoryview(raw[: at + 3] + claim + raw[at + 4 :]), metadata)


def test_a_stream_of_many_small_bombs() -> None:
    """Each message is within its limit, all of them are not."""
    writer = StreamWriter(SAMPLES, "zstd")
    document = "x" * (200 << 20)
    batch = pa.RecordBatch.from_pydict({"number": [1], "time": [1.0], "document": [document]}, SAMPLES)
    content = b"".join(writer.messages(batch) for _ in range(6))
    read = 0
    with pytest.raises(TooLarge, match="data of 1200 MiB, the limit is 1024 MiB"):
        for _ in StreamReader("x", content, sealed=True).batches():
            read += 1
    assert read == 5


def test_a_long_description() -> None:
    with pytest.raises(ValueError, match="too long"):
        read_description(b'{"format":"' + b"x" * limits.DESCRIPTION)


def test_one_line_for_a_file_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    path.mkdir()
    (path / DESCRIPTION).write_text(json.dumps({"format": FORMAT, "version": VERSION, "interval": 1.0, "identity": {}}))
    for form in ("parquet", "arrows"):
        file = path / f"samples-000001.{form}"
        with open(file, "wb") as sink:
            sink.truncate(8 << 30)
        done = lazyobs("top", "-b", "--replay", str(path))
        assert (done.returncode, done.stdout) == (EXIT_REFUSED, "")
        assert "a file of 8192 MiB, the limit is 256 MiB" in done.stderr and len(done.stderr.splitlines()) == 1
        file.unlink()


def test_want_of_memory_is_no_damage() -> None:
    recording = Recording(str(ROOT / "examples/lab"))
    for error in (MemoryError(), pa.ArrowMemoryError("malloc of size 64 failed"), OSError(errno.EMFILE, "x")):
        told = str(recording.damaged("a file", error))
        assert "cannot be read" in told and "damaged" not in told
    assert "a file is damaged (bad)" in str(recording.damaged("a file", ValueError("bad")))
    recording.close()
