# SPDX-License-Identifier: MIT
"""A finished segment becomes Parquet without being in memory at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lazyobs.recording import parquet
from lazyobs.recording.arrow import pa
from lazyobs.recording.directory import Directory
from lazyobs.recording.encoder import Encoder
from lazyobs.recording.layout import COMPRESSION, columns
from lazyobs.recording.parquet_segment import to_parquet
from lazyobs.recording.samples import system_row
from lazyobs.recording.segment import Segment

NAMES = tuple(f"vmstat_{number}" for number in range(211))
TICKS = 307


@pytest.fixture
def finished(tmp_path: Path) -> Directory:
    """A directory with the streams of one segment of TICKS ticks."""
    directory = Directory(str(tmp_path / "r"))
    written = Segment(directory, 1, lambda table: Encoder(columns(table, NAMES), COMPRESSION.get(table)))
    for tick in range(1, TICKS + 1):
        written.append("system", system_row(tick, tick / 2, NAMES, [None, *(tick * place for place in range(1, 211))]))
        marks: dict[str, Any] = {"time": [tick / 2], "stamp": [tick], "kind": ["lost"], "value": [None], "text": ["x" * tick]}  # fmt: skip
        written.append("marks", marks)
    written.close()
    return directory


def test_every_row_is_there_whatever_the_groups(finished: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_BYTES_A_GROUP", 53 << 10)
    to_parquet(finished, 1)
    with pq.ParquetFile(f"{finished.path}/system-000001.parquet") as file:
        assert file.num_row_groups > 3
        rows = file.read()
    assert rows["number"].to_pylist() == list(range(1, TICKS + 1))
    assert rows["vmstat_0"].null_count == TICKS
    assert rows["vmstat_210"].to_pylist() == [tick * 210 for tick in range(1, TICKS + 1)]
    assert [len(text) for text in pq.read_table(f"{finished.path}/marks-000001.parquet")["text"].to_pylist()] == list(range(1, TICKS + 1))  # fmt: skip
    assert not [name for name in finished.sizes() if name.endswith(".arrows")]


def test_a_group_is_in_one_piece_and_small(finished: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_BYTES_A_GROUP", 53 << 10)
    groups: list[pa.Table] = []
    made = parquet._groups

    def seen(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        for group in made(batches):
            groups.append(group)
            yield group

    monkeypatch.setattr(parquet, "_groups", seen)
    to_parquet(finished, 1)
    assert sum(group.num_rows for group in groups) == 2 * TICKS
    for group in groups:
        assert group.nbytes < 3 * (53 << 10), "a group, and what came with its last batches"
        assert all(column.num_chunks == 1 for column in group.columns)


def test_one_row_of_many_columns_is_no_larger_than_its_numbers(finished: Directory) -> None:
    """Each buffer is compressed by itself: zstd made 18 kB of 220 columns, and took 5 ms."""
    size = finished.sizes()["system-000001.arrows"]
    assert size / TICKS < 70 * len(NAMES)
