# SPDX-License-Identifier: MIT
"""An hour at one sample a second takes no more memory than its first ten minutes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.screen.screens import ROOT

CODE = """
import sys
sys.path[:0] = ["tests", "tests/screen", "tests/views"]
from screens import Handmade, LiveClock, View, process, sample, text_of
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.screen.palette import PALETTES, UNICODE
from lazyobs.sources.self_usage import rss_bytes
changing, seconds = map(int, sys.argv[1:])
idle = {}
feed = Handmade(None)
clock = LiveClock(feed)
view = View(clock, PALETTES["256"], UNICODE)
def show(moment): view.moment = moment
clock.show = show
def second(number):
    # ``changing`` of 503 processes do something; every process is another one after 100 seconds.
    base = 1000 + 1000 * (number // 100)
    if base not in idle:
        idle.clear()
        idle[base] = [process(base + at, f"p{base + at}") for at in range(changing, 503)]
    made = sample(*(process(base + at, f"p{base + at}", prepares=number) for at in range(changing)), *idle[base])
    made.time = 1e9 + number
    clock._history.add(made)
    clock._trends.add(made)
    clock._happenings.extend(TraceEvent(made.time, "fork", pid=base) for _ in range(101))
    clock._show()
    view.lines(200, 60)
for number in range(601):
    second(number)
before = rss_bytes()
for number in range(601, seconds):
    second(number)
print(before, rss_bytes(), len(clock._history), clock._history.weight)
"""


@pytest.mark.parametrize(("changing", "seconds"), [(23, 3600), (503, 1009)])
def test_an_hour(changing, seconds):
    """Where every process does something all the time the past is a few samples long, and twenty minutes say as much."""
    command = [sys.executable, "-c", CODE, str(changing), str(seconds)]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert answer.returncode == 0, answer.stderr
    before, after, count, weight = map(int, answer.stdout.split())
    assert after - before < 4 << 20, (before, after)
    assert 0 < count <= 601 and weight <= 12_000
