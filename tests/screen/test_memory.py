# SPDX-License-Identifier: MIT
"""An hour at one sample a second takes no more memory than its first ten minutes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.harness import ROOT

pytestmark = pytest.mark.slow

CODE = """
import sys
from tests.screen.screens import Handmade, LiveClock, View, process, sample, text_of
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.screen.palette import PALETTES, UNICODE
from lazyobs.unix.self_usage import rss_bytes
changing, seconds = map(int, sys.argv[1:])
idle = {}
feed = Handmade(None)
clock = LiveClock(feed)
view = View(clock, PALETTES["256"], UNICODE)
def show(screen_state): view.screen_state = screen_state
clock.show = show
def second(number):
    # ``changing`` of 503 processes do something; after 100 seconds all of them are replaced.
    base = 1000 + 1000 * (number // 100)
    if base not in idle:
        idle.clear()
        idle[base] = [process(base + at, f"p{base + at}") for at in range(changing, 503)]
    made = sample(*(process(base + at, f"p{base + at}", prepares=number) for at in range(changing)), *idle[base])
    made.time = 1e9 + number
    clock._history.add(made)
    clock._trends.add(made)
    clock._trace_events.extend(TraceEvent(made.time, "fork", pid=base) for _ in range(101))
    clock._show()
    assert len(view.lines(200, 60)) > 30
for number in range(601):
    second(number)
assert any(line.endswith(" p7000") or " p7000 " in line for line in text_of(view, 200, 60))
before = rss_bytes()
for number in range(601, seconds):
    second(number)
print(before, rss_bytes(), len(clock._history), clock._history.weight)
"""


@pytest.mark.parametrize(("changing", "seconds"), [(23, 3600), (503, 1009)])
def test_an_hour(changing, seconds):
    """If every process is always busy, the history is a few samples long, and twenty minutes show as much."""
    command = [sys.executable, "-c", CODE, str(changing), str(seconds)]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert answer.returncode == 0, answer.stderr
    before, after, count, weight = map(int, answer.stdout.split())
    assert after - before < 4 << 20, (before, after)
    assert 0 < count <= 601 and weight <= 12_000
