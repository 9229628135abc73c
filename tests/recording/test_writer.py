# SPDX-License-Identifier: MIT
"""What is appended is read again, whatever the writer dies of and wherever its files end."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

from lazyobs.bpf import event
from lazyobs.recording.errors import RecordingStopped
from lazyobs.recording.layout import KEPT, RESERVE
from lazyobs.recording.reader import Recording
from lazyobs.recording.writer import MOST_KEPT, Limits
from lazyobs.views.lines import json_line
from tests.harness import skip
from tests.recording import made
from tests.recording.made import event_rows
from tests.recording.samples import sample


def lines(path: Path) -> list[str]:
    """JSON of every sample in a recording."""
    return [json_line(one.as_json()) for one in Recording(str(path)).samples()]


def expected(numbers: range, processes: int = 5) -> list[str]:
    return [json_line(sample(number, processes).as_json()) for number in numbers]


def read_events(path: Path) -> list[int]:
    return [address for batch in Recording(str(path)).events() for address in batch.column("address").to_pylist()]


def test_samples_come_back_as_they_were(tmp_path: Path) -> None:
    store = made.store(tmp_path / "r")
    for number in range(1, 24):
        made.append_sample(store, number)
    assert lines(tmp_path / "r") == expected(range(1, 24)), "while it is being written"
    store.close()
    assert lines(tmp_path / "r") == expected(range(1, 24)), "when it is finished"
    assert Recording(str(tmp_path / "r")).torn == set()


def test_a_sample_without_processes(tmp_path: Path) -> None:
    store = made.store(tmp_path / "r")
    made.append_sample(store, 1, 0)
    made.append_sample(store, 2, 3)
    made.append_sample(store, 3, 0)
    store.close()
    assert lines(tmp_path / "r") == [expected(range(n, n + 1), p)[0] for n, p in ((1, 0), (2, 3), (3, 0))]


def test_every_field_of_an_event_comes_back(tmp_path: Path) -> None:
    store = made.store(tmp_path / "r")
    written = made.events(11, 1009)
    store.append("events", event_rows(written, 5))
    store.close()
    (batch,) = Recording(str(tmp_path / "r")).events()
    assert batch.num_rows == 1009
    for field in event.RECORD.fields[:-1]:
        assert numpy.array_equal(batch.column(field.name).to_numpy(), written[field.name]), field.name
    assert batch.column("comm").to_pylist() == [b"comm".ljust(16, b"\0")] * 1009
    assert set(batch.column("offset").to_pylist()) == {5}


def test_segments_follow_each_other(tmp_path: Path) -> None:
    store = made.store(tmp_path / "r", Limits(segment_bytes=1))
    for number in range(1, 8):
        made.append_sample(store, number)
        store.append("events", event_rows(made.events(number * 101, 101), 0))
        store.maintain()
    store.close()
    assert Recording(str(tmp_path / "r")).segments[:7] == [1, 2, 3, 4, 5, 6, 7]
    assert not [name for name in os.listdir(tmp_path / "r") if name.endswith((".arrows", ".new"))]
    assert lines(tmp_path / "r") == expected(range(1, 8))
    assert read_events(tmp_path / "r") == list(range(101, 8 * 101))


def _unfinished(path: Path) -> None:
    """A recording whose writer was killed: streams only."""
    store = made.store(path)
    for number in range(1, 4):
        store.append("events", event_rows(made.events(number * 23, 23), 0))
        made.append_sample(store, number, 2)
    for stream in store._segment._streams.values():
        os.fsync(stream._fd)


@pytest.mark.slow
def test_cut_off_at_every_byte(tmp_path: Path) -> None:
    """Every length of the events' file: whole batches stay, and nothing but whole batches."""
    _unfinished(tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    whole = (tmp_path / "whole" / "events-000001.arrows").read_bytes()
    cut = tmp_path / "cut" / "events-000001.arrows"
    lengths: dict[int, int] = {}
    for length in range(len(whole) + 1):
        cut.write_bytes(whole[:length])
        found = read_events(tmp_path / "cut")
        assert found == list(range(23, 23 + len(found))) and len(found) % 23 == 0
        lengths.setdefault(len(found), length)
    assert list(lengths) == [0, 23, 46, 69]
    assert lengths[69] == len(whole), "a batch is whole with its last byte"


@pytest.mark.parametrize("table", ["samples", "processes"])
def test_samples_cut_off(tmp_path: Path, table: str) -> None:
    _unfinished(tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    whole = (tmp_path / "whole" / f"{table}-000001.arrows").read_bytes()
    for length in range(0, len(whole), 211):
        (tmp_path / "cut" / f"{table}-000001.arrows").write_bytes(whole[:length])
        read = [one.time for one in Recording(str(tmp_path / "cut")).samples()]
        if table == "samples":
            assert read == [sample(number).time for number in range(1, 1 + len(read))]
            assert len(read) < 3
        else:
            assert len(read) == 3


def test_killed_between_parquet_and_stream(tmp_path: Path) -> None:
    """Both forms of a table are there for a moment; its rows count once."""
    _unfinished(tmp_path / "r")
    stream = tmp_path / "r" / "samples-000001.arrows"
    content = stream.read_bytes()
    from lazyobs.recording.directory import Directory
    from lazyobs.recording.parquet_segment import to_parquet

    directory = Directory.__new__(Directory)
    directory.fd = os.open(tmp_path / "r", os.O_RDONLY | os.O_DIRECTORY)
    to_parquet(directory, 1)
    os.close(directory.fd)
    assert not stream.exists()
    stream.write_bytes(content)
    (tmp_path / "r" / "events-000001.parquet.new").write_bytes(b"half a file")
    assert lines(tmp_path / "r") == expected(range(1, 4), 2)


@pytest.mark.slow
def test_the_oldest_go_first(tmp_path: Path) -> None:
    limit = 300_000
    store = made.store(tmp_path / "r", Limits(max_bytes=limit))
    for number in range(1, 211):
        made.append_sample(store, number, 11)
        store.maintain()
    store.close()
    recording = Recording(str(tmp_path / "r"))
    assert recording.segments[0] > 1
    assert recording.segments == list(range(recording.segments[0], recording.segments[-1] + 1))
    found = lines(tmp_path / "r")
    assert found == expected(range(211 - len(found), 211), 11)
    assert sum(file.stat().st_size for file in (tmp_path / "r").iterdir()) <= limit


@pytest.mark.slow
def test_what_is_too_old_goes(tmp_path: Path) -> None:
    now = [0.0]
    store = made.store(tmp_path / "r", Limits(max_seconds=80), clock=lambda: now[0])
    for number in range(1, 401):
        now[0] += 1
        made.append_sample(store, number, 1)
        store.maintain()
    store.close()
    found = lines(tmp_path / "r")
    assert found == expected(range(401 - len(found), 401), 1)
    assert 80 <= len(found) <= 80 + 2 * 10 + 1  # segments of a tenth of it, and the one under way


@pytest.mark.slow
def test_a_trigger_keeps_what_led_up_to_it(tmp_path: Path) -> None:
    store = made.store(tmp_path / "r", Limits(max_bytes=300_000))
    for number in range(1, 401):
        made.append_sample(store, number, 3)
        if number == 101:
            assert store.keep("splat")
        store.maintain()
    store.close()
    times = [one.time for one in Recording(str(tmp_path / "r")).samples()]
    assert sample(101).time in times
    kept = times[: times.index(sample(101).time) + 1]
    assert len(kept) > 1
    assert kept == [sample(number).time for number in range(102 - len(kept), 102)]
    assert sample(400).time in times
    assert len(times) < 400
    assert "splat" in (tmp_path / "r" / KEPT).read_text()


def test_kept_incidents_are_bounded(tmp_path: Path) -> None:
    store = made.store(tmp_path / "r", Limits(segment_bytes=1))
    kept = []
    for number in range(1, MOST_KEPT + 3):
        made.append_sample(store, number, 1)
        kept += [store.keep("splat"), store.keep("the same again")]
        store.maintain()
    assert kept == [True, True] * MOST_KEPT + [False] * 4
    store.close()


@pytest.fixture
def small_disk(root: None, tmp_path: Path) -> Iterator[Path]:
    """A file system of 1.5 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1536k", "none", place], capture_output=True, text=True, timeout=60
    )
    if mounted.returncode:
        skip("host", f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True, timeout=60)


@pytest.mark.slow
def test_a_full_disk_ends_it_cleanly(small_disk: Path) -> None:
    store = made.store(small_disk / "r", Limits(segment_bytes=200_000))
    whole = 0
    with pytest.raises(RecordingStopped, match="no space left on device"):
        for number in range(1, 10_007):
            made.append_sample(store, number, 23)
            whole = number
            store.maintain()
    assert not (small_disk / "r" / RESERVE).exists()
    store.append("marks", {"time": [1.0], "stamp": [1], "kind": ["end"], "value": [None], "text": ["disk full"]})
    store.close()
    assert whole > 23
    found = lines(small_disk / "r")
    assert found == expected(range(1, len(found) + 1), 23)
    assert len(found) == whole
    assert [row["text"] for row in Recording(str(small_disk / "r")).rows("marks")] == ["disk full"]


def test_no_room_for_the_description(small_disk: Path) -> None:
    with open(small_disk / "filler", "wb") as filler, pytest.raises(OSError, match="No space"):
        while True:
            filler.write(bytes(1 << 16))
            filler.flush()
    with pytest.raises(RecordingStopped, match="no space left on device"):
        made.store(small_disk / "r")


def test_no_stream_is_left_without_rows(small_disk: Path) -> None:
    """The first rows of a table did not fit: there is no file of 0 bytes that is no stream."""
    store = made.store(small_disk / "r")
    made.append_sample(store, 1, 23)
    with open(small_disk / "filler", "wb", buffering=0) as filler, pytest.raises(OSError, match="No space"):
        while True:
            filler.write(bytes(1 << 12))
    with pytest.raises(RecordingStopped, match="no space left on device"):
        store.append("events", event_rows(made.events(0, 100_003), 0))
    assert not (small_disk / "r/events-000001.arrows").exists()
    store.append("marks", {"time": [1.0], "stamp": [1], "kind": ["end"], "value": [None], "text": ["disk full"]})
    store.close()
    recording = Recording(str(small_disk / "r"))
    assert len(list(recording.samples())) == 1
    assert [row["text"] for row in recording.rows("marks")] == ["disk full"]
    assert not recording.torn and not recording.damage
