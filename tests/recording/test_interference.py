# SPDX-License-Identifier: MIT
"""Other processes change or remove what is being recorded, or the writer's own thread fails: it ends at once, with the
reason, and what is left can be read."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from lazyobs.recording import parquet_segment
from lazyobs.recording.errors import RecordingStopped
from lazyobs.recording.reader import Recording
from lazyobs.recording.writer import Limits, Store
from tests.recording import made
from tests.recording.made import event_rows


def tick(store: Store, number: int) -> None:
    store.append("events", event_rows(made.events(number * 23, 23), 0))
    made.append_sample(store, number, 3)
    store.maintain()


def close(store: Store) -> str:
    """Why it could not be closed in order; "" if it could."""
    try:
        store.close()
    except RecordingStopped as error:
        return error.why
    return ""


@pytest.mark.parametrize("change", ["truncate", "append", "remove"])
def test_a_stream_that_another_process_changes(tmp_path: Path, change: str) -> None:
    store = made.store(tmp_path / "r")
    for number in range(1, 6):
        tick(store, number)
    stream = tmp_path / "r/events-000001.arrows"
    if change == "truncate":
        os.truncate(stream, 0)
    elif change == "append":
        stream.write_bytes(stream.read_bytes() + b"x")
    else:
        stream.unlink()
    with pytest.raises(RecordingStopped, match=r"events-000001.arrows was (changed|removed)") as caught:
        store.maintain()
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(RecordingStopped, match=r"events-000001.arrows was"):
        tick(store, 6)
    store.append("marks", {"time": [1.0], "stamp": [1], "kind": ["end"], "value": [None], "text": ["stopped"]})
    assert "events-000001.arrows was" in close(store)
    recording = Recording(str(tmp_path / "r"))
    assert len(list(recording.samples())) == 5, "the other tables are there"
    assert [row["text"] for row in recording.rows("marks")] == ["stopped"]
    rows = sum(batch.num_rows for batch in recording.events())
    assert rows == {"truncate": 0, "append": 5 * 23, "remove": 0}[change]
    if change != "remove":
        assert recording.torn or recording.damage


def test_a_finished_segments_stream_was_changed(tmp_path: Path) -> None:
    """While it waits to become Parquet. The flight recorder must not go on without its other thread."""
    store = made.store(tmp_path / "r", Limits(segment_bytes=1, max_bytes=1 << 20))
    changed = threading.Event()

    def wait() -> None:
        changed.wait(60)

    store._work.put(wait)  # the other thread
    for number in range(1, 4):
        tick(store, number)
    os.truncate(tmp_path / "r/events-000001.arrows", 0)
    changed.set()
    with pytest.raises(RecordingStopped, match=r"events-000001.arrows was changed by another process"):
        for _ in range(1000):
            store.maintain()
            time.sleep(0.01)
    assert close(store) == ""
    found = list(Recording(str(tmp_path / "r")).samples())
    assert len(found) == 3


def test_the_directory_is_removed(tmp_path: Path) -> None:
    store = made.store(tmp_path / "r")
    tick(store, 1)
    shutil.rmtree(tmp_path / "r")
    with pytest.raises(RecordingStopped, match="its directory was removed"):
        tick(store, 2)
    with pytest.raises(RecordingStopped, match="its directory was removed"):
        store.maintain()
    assert "its directory was removed" in close(store)
    assert store.bytes == 0


def test_a_directory_under_another_name_is_still_there(tmp_path: Path) -> None:
    store = made.store(tmp_path / "r")
    tick(store, 1)
    (tmp_path / "r").rename(tmp_path / "moved")
    tick(store, 2)
    assert close(store) == ""
    assert len(list(Recording(str(tmp_path / "moved")).samples())) == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [ValueError("no such batch"), MemoryError(), SystemExit(1)])
def test_any_failure_of_the_other_thread_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Whatever it dies of."""

    def fails(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr(parquet_segment, "to_parquet", fails)
    store = made.store(tmp_path / "r", Limits(segment_bytes=1))
    with pytest.raises(RecordingStopped, match="its writer failed"):
        for number in range(1, 1000):
            tick(store, number)
            time.sleep(0.01)
    close(store)
    assert Recording(str(tmp_path / "r")).segments


def test_the_size_at_the_end_is_what_the_directory_holds(tmp_path: Path) -> None:
    """Parquet is a tenth of the streams that it is made of."""
    store = made.store(tmp_path / "r")
    for number in range(1, 24):
        tick(store, number)
    before = store.bytes
    assert close(store) == ""
    assert store.bytes == sum(file.stat().st_size for file in (tmp_path / "r").iterdir()) < before
