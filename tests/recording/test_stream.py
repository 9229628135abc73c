# SPDX-License-Identifier: MIT
"""A changed byte in an unfinished stream is told from a torn end, and what is lost with it is counted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from lazyobs.recording.layout import DESCRIPTION
from lazyobs.recording.reader import Recording
from lazyobs.recording.seal import header_length
from lazyobs.recording.stream import StreamReader
from tests.harness import lazyobs
from tests.recording import made
from tests.recording.arrow_writer import StreamWriter
from tests.recording.made import event_rows

BATCHES, ROWS = 7, 101
SCHEMA = pa.schema([("number", pa.int64()), ("text", pa.string())])


def stream() -> tuple[bytes, list[int]]:
    """A stream of numbered rows, and where each of its messages ends; the first is its schema."""
    writer = StreamWriter(SCHEMA, "zstd")
    content = b""
    ends: list[int] = []
    for batch in range(BATCHES):
        numbers = list(range(batch * ROWS, (batch + 1) * ROWS))
        rows = pa.RecordBatch.from_pydict({"number": numbers, "text": [f"row {n}" for n in numbers]}, SCHEMA)
        messages = writer.messages(rows)
        if not ends:
            ends.append(header_length(messages))
        content += messages
        ends.append(len(content))
    return content, ends


def read(content: bytes) -> tuple[list[int], StreamReader]:
    reader = StreamReader("events-000001.arrows", content, sealed=True)
    return [number for batch in reader.batches() for number in batch.column("number").to_pylist()], reader


ALL = list(range(BATCHES * ROWS))


def test_a_whole_stream() -> None:
    content, _ = stream()
    found, reader = read(content)
    assert found == ALL and not reader.torn and reader.damage is None


def test_other_tools_read_it() -> None:
    """It is plain Arrow: the seal is metadata."""
    content, _ = stream()
    table = pa.ipc.open_stream(pa.BufferReader(content)).read_all()
    assert table.column("number").to_pylist() == ALL


@pytest.mark.parametrize("bit", [0, 7])
def test_one_bit_anywhere(bit: int) -> None:
    """Every byte: all rows but those of one message come back, it is called damage, and their number is right wherever
    the header that says it is intact."""
    content, ends = stream()
    begins = [0, *ends[:-1]]
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << bit
        found, reader = read(bytes(changed))
        message = next(index for index, end in enumerate(ends) if place < end)
        lost = ALL if message == 0 else ALL[(message - 1) * ROWS : message * ROWS]
        assert found == [number for number in ALL if number not in set(lost)], place
        in_last_header = message == BATCHES and place < begins[-1] + header_length(content, begins[-1])
        if in_last_header:  # nothing that follows says how many rows it had
            assert reader.torn or (reader.damage is not None and not reader.damage.certain), place
        else:
            assert reader.damage is not None and not reader.torn, place
            assert (reader.damage.rows, reader.damage.certain) == (len(lost), True), place


def test_the_end_torn_at_every_byte() -> None:
    content, ends = stream()
    for length in range(len(content)):
        found, reader = read(content[:length])
        whole = max(0, sum(end <= length for end in ends) - 1)
        assert found == ALL[: whole * ROWS], length
        assert reader.damage is None, length
        assert reader.torn == (length not in ends[1:]), length


def test_zeros_at_the_end_are_a_torn_end() -> None:
    """What a file system may leave after a power failure."""
    content, ends = stream()
    found, reader = read(content[: ends[3]] + bytes(4096))
    assert found == ALL[: 3 * ROWS] and reader.torn and reader.damage is None


def test_a_piece_missing_in_the_middle() -> None:
    content, ends = stream()
    found, reader = read(content[: ends[2]] + content[ends[4] :])
    assert found == ALL[: 2 * ROWS] + ALL[4 * ROWS :]
    assert reader.damage is not None and (reader.damage.rows, reader.damage.certain) == (2 * ROWS, True)


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording whose writer was killed, with eight batches of events."""
    path: Path = tmp_path_factory.mktemp("stream") / "unfinished"
    store = made.store(path)
    for number in range(1, 9):
        store.append("events", event_rows(made.events(number * 93, 93), 0))
        made.append_sample(store, number, 2)
    store.append("marks", {"time": [1.0], "stamp": [1], "kind": ["end"], "value": [None], "text": ["ended"]})
    return path


@pytest.fixture
def damaged(unfinished: Path, tmp_path: Path) -> Path:
    """One bit changed in the middle of its events."""
    shutil.copytree(unfinished, tmp_path / "r")
    file = tmp_path / "r/events-000001.arrows"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    return tmp_path / "r"


def test_events_lost_are_counted_in_the_trace(damaged: Path) -> None:
    done = lazyobs(
        "trace", "--replay", str(damaged), "-e", "fork,promotion,promotion_failed,rmap_walk", "--min-us", "0"
    )
    assert done.returncode == 0
    said = done.stderr.splitlines()
    assert "651 events, 93 lost" in said[0], done.stderr
    assert "events-000001.arrows is damaged: 93 rows are lost" in said[1]
    (line,) = (line for line in done.stdout.splitlines() if "93 events lost: events-000001.arrows is damaged" in line)
    assert not line.startswith("00:00:00")


def test_the_report_does_not_pass_what_is_lost(damaged: Path) -> None:
    done = lazyobs("report", str(damaged), "-o", "json")
    assert '"name":"events","outcome":"INCONCLUSIVE","text":"93 events lost' in done.stdout, done.stdout
    assert '"name":"whole","outcome":"INCONCLUSIVE","text":"events-000001.arrows is damaged: 93 rows' in done.stdout


def test_processes_cut_off_behind_a_batch(unfinished: Path, tmp_path: Path) -> None:
    """Nothing in that file is wrong; the samples know that they had processes."""
    shutil.copytree(unfinished, tmp_path / "r")
    file = tmp_path / "r/processes-000001.arrows"
    content = file.read_bytes()
    at, ends = 0, []
    while at < len(content):
        at = _end_of(content, at)
        ends.append(at)
    file.write_bytes(content[: ends[3]])
    recording = Recording(str(tmp_path / "r"))
    assert [len(sample.processes) for sample in recording.samples()] == [2, 2, 2, 0, 0, 0, 0, 0]
    assert not recording.torn and "processes-000001.arrows" in recording.damage


def _end_of(content: bytes, at: int) -> int:
    from lazyobs.recording.message import body_length

    header = content[at : at + header_length(content, at)]
    return at + len(header) + body_length(header)


def test_streams_of_earlier_versions(unfinished: Path, tmp_path: Path) -> None:
    """Without seals they are read as before, up to what cannot be read, and the report says so."""
    path = tmp_path / "old"
    shutil.copytree(unfinished, path)
    text = (path / DESCRIPTION).read_text()
    (path / DESCRIPTION).write_text("\n".join(line for line in text.splitlines() if "checksum" not in line))
    for file in path.glob("*.arrows"):
        table = pa.ipc.open_stream(pa.BufferReader(file.read_bytes())).read_all().replace_schema_metadata(None)
        with pa.OSFile(str(file), "wb") as sink:
            writer = pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd"))
            writer.write_table(table, max_chunksize=93)
    recording = Recording(str(path))
    assert not recording.checksummed
    assert sum(batch.num_rows for batch in recording.events()) == 8 * 93 and not recording.torn
    assert len(list(recording.samples())) == 8
    file = path / "events-000001.arrows"
    file.write_bytes(file.read_bytes()[:-100])
    assert sum(batch.num_rows for batch in recording.events()) == 7 * 93
    assert recording.torn == {"events-000001.arrows"}
