# SPDX-License-Identifier: MIT
"""From two producers to the disk: what is recorded and what is counted as lost make up what was emitted."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest

from lazyobs.bpf import event
from lazyobs.bpf.event_stream import EventStream
from lazyobs.recorder.recorder import Recorder, Surroundings
from lazyobs.recording.reader import Recording
from lazyobs.recording.writer import Limits
from tests.bpf.ring_producer import Producer, load
from tests.bpf.test_ring_exactness import EVENTS, SYSCALLS, Seen, ended, overflowed
from tests.recorder.test_parts import FakeSource
from tests.recording import made

pytestmark = [pytest.mark.slow, pytest.mark.bpf, pytest.mark.usefixtures("bpf")]


def test_recorded_plus_lost_is_emitted(tmp_path: Path) -> None:
    session = load(256)  # 1 MiB: 14,563 records
    producer, stream = Producer(session), EventStream(session)
    around = Surroundings(str(tmp_path), str(tmp_path), "/does/not/exist")
    store = made.store(tmp_path / "r", Limits(segment_bytes=200_000))
    recorder = Recorder(FakeSource(), store, around, stream, 1.0)
    running = overflowed(producer)
    while running:
        ended(running)
        recorder.drain()
        store.maintain()
    while stream.ring.waiting():
        recorder.drain()
    recorder.tick()
    store.close()

    recording, seen = Recording(str(tmp_path / "r")), Seen()
    for batch in recording.events():
        found = numpy.zeros(batch.num_rows, event.dtype())
        for name in event.Event._fields[:-1]:
            found[name] = batch.column(name).to_numpy()
        seen.batch(found)
    emitted = EVENTS + producer.at_syscalls()
    marks = [row["value"] for row in recording.rows("marks") if row["kind"] == "lost"]
    assert len(recording.segments) > 1
    assert producer.at_syscalls() >= SYSCALLS
    assert sum(marks) == producer.counts.lost() == recorder.progress.lost > 0
    assert seen.records == recorder.progress.events
    assert seen.records + sum(marks) == emitted
    assert (seen.corrupt, seen.disordered) == (0, 0)
    stream.close()
    session.close()
