# SPDX-License-Identifier: MIT
"""What tests of the screen share: views without a terminal, handmade feeds, the example recording."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from pyarrow import parquet

from lazyobs.model import Sample
from lazyobs.recording.replay import open_replay
from lazyobs.screen.app import Top
from lazyobs.screen.clocks import LiveClock, RecordedClock
from lazyobs.screen.feed import ReplayFeed
from lazyobs.screen.palette import PALETTES, UNICODE
from lazyobs.screen.state import TRENDS, Extras, LiveUpdate, ScreenState, Wanted
from lazyobs.screen.terminal import MONO
from lazyobs.screen.timeline import Clock, Timeline
from lazyobs.screen.view import View
from tests.harness import ROOT
from tests.views.handmade import process, sample

LAB = ROOT / "examples/lab"
SAMPLES: int = parquet.read_metadata(LAB / "samples-000001.parquet").num_rows
HOSTILE = "\x1b]0;owned\x07\u202e\x9b2J[bold]x[/]"

__all__ = ["process", "sample"]


class Still(Clock):
    """A clock that does not move and notes its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, float]] = []

    def timeline(self) -> Timeline:
        return Timeline(1_700_000_000.0, 1_700_000_100.0, 50, 101)

    def step(self, samples: int) -> None:
        self.calls.append(("step", samples))

    def seek(self, position: int) -> None:
        self.calls.append(("seek", position))

    def freeze(self) -> None:
        self.frozen = not self.frozen

    def set_delay(self, seconds: float) -> None:
        self.calls.append(("delay", seconds))


def screen_state(shown: Sample, **extras) -> ScreenState:
    return ScreenState(shown, [], {name: [0.0, 23.0] for name in TRENDS}, Extras(**extras))


def view(shown: Sample | None = None, clock: Clock | None = None, **options) -> View:
    made = View(clock or Still(), PALETTES[MONO], UNICODE, **options)
    if shown is not None:
        made.screen_state = screen_state(shown)
    return made


def text_of(shown: View, width: int = 80, height: int = 24) -> list[str]:
    """The lines of the screen."""
    return ["".join(segment.text for segment in line) for line in shown.lines(width, height)]


class Handmade:
    """A live feed of what ``make`` returns for 0, 1, 2..."""

    interval, notice, paces = 0.05, "", False

    def __init__(self, make: Callable[[int], Sample]) -> None:
        self._make, self.count = make, 0
        self.wanted: list[Wanted] = []

    def read(self, wanted: Wanted) -> LiveUpdate:
        self.wanted.append(wanted)
        self.count += 1
        made = self._make(self.count - 1)
        made.time = time.time()
        return LiveUpdate(made, [], Extras(wanted.vmas_of))

    def close(self) -> None:
        pass


def live_app(feed: Handmade, **options) -> Top:
    clock = LiveClock(feed)
    return Top(clock, View(clock, PALETTES[MONO], UNICODE, **options))


def lab_app(interval: float = 3600.0, depth: str = MONO) -> Top:
    """The example recording, which stays at its first sample unless a key moves it."""
    clock = RecordedClock(ReplayFeed(open_replay(LAB), interval))
    return Top(clock, View(clock, PALETTES[depth], UNICODE))


def run(app: Top, size: tuple[int, int], drive) -> None:
    """Runs ``drive(pilot)`` with the app on a screen of that size; raises the error that ended it."""

    async def all_of_it() -> None:
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.view.screen_state is not None)
            await drive(pilot)
        if app.failure is not None:
            raise app.failure

    asyncio.run(all_of_it())


async def until(pilot, holds: Callable[[], bool]) -> None:
    for _ in range(600):
        await pilot.pause()
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the condition did not become true")
