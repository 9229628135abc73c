# SPDX-License-Identifier: MIT
"""Any sample of a recording, in any order, is the sample that was recorded."""

from __future__ import annotations

import random
import shutil

import pytest

from lazyobs.model import COUNTER_NAMES
from lazyobs.recording.cursor import Cursor
from lazyobs.recording.errors import RecordingError
from lazyobs.recording.reader import Recording
from lazyobs.recording.replay import open_replay
from lazyobs.screen.feed import ReplayFeed
from lazyobs.screen.state import TRENDS, Wanted
from tests.harness import ROOT
from tests.screen.screens import LAB, SAMPLES


@pytest.mark.parametrize("name", ["lab", "debian-6.12"])
def test_any_order(name):
    recording = Recording(str(ROOT / "examples" / name))
    recorded = list(recording.samples())
    cursor = Cursor(recording, TRENDS)
    assert cursor.times == [one.time for one in recorded]
    positions = [*range(len(recorded)), *random.Random(23).choices(range(len(recorded)), k=101)]
    for position in positions:
        assert cursor.sample(position).as_json() == recorded[position].as_json()
    recording.close()


def test_trends_are_the_rates_of_the_counts():
    recording = Recording(str(LAB))
    recorded = list(recording.samples())
    cursor = Cursor(recording, TRENDS)
    trends = cursor.trends(SAMPLES - 1, 240)
    assert set(TRENDS) <= set(COUNTER_NAMES)
    for name in TRENDS:
        assert len(trends[name]) == SAMPLES and trends[name][0] is None
        for at in range(1, SAMPLES):
            change = recorded[at].totals[name] - recorded[at - 1].totals[name]
            assert trends[name][at] == pytest.approx(change / recorded[at].elapsed, abs=1e-3)
    assert cursor.trends(SAMPLES - 1, 7)["forks"] == trends["forks"][-7:]
    recording.close()


def test_events_end_at_the_moment_shown():
    feed = ReplayFeed(open_replay(LAB), 1.0)
    counts = []
    for position in range(len(feed.times)):
        screen_state = feed.at(position, Wanted())
        assert all(one.time <= screen_state.sample.time for one in screen_state.trace_events)
        counts.append(len(screen_state.trace_events))
    assert counts == sorted(counts) and counts[-1] > counts[0]
    feed.close()


def test_a_position_by_its_time():
    recording = Recording(str(LAB))
    cursor = Cursor(recording, TRENDS)
    times = (0.0, *cursor.times[:3], cursor.times[2] + 0.01, 1e12)
    assert [cursor.position(one) for one in times] == [0, 0, 1, 2, 2, SAMPLES - 1]
    recording.close()


def test_a_damaged_recording_is_told(tmp_path):
    shutil.copytree(LAB, tmp_path / "it")
    path = tmp_path / "it/processes-000001.parquet"
    raw = bytearray(path.read_bytes())
    raw[200:4000] = bytes(3800)
    path.write_bytes(raw)
    recording = Recording(str(tmp_path / "it"))
    with pytest.raises(RecordingError, match="damaged"):
        for position in range(SAMPLES):
            Cursor(recording, TRENDS).sample(position)
    recording.close()
