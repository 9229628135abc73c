# SPDX-License-Identifier: MIT
"""The whole program, driven by Textual's pilot: against snapshots at three sizes, live and recorded.

``LAZYOBS_SNAPSHOTS=write`` rewrites the snapshots; review them before committing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from lazyobs.errors import UsageError
from lazyobs.recording.reader import Recording
from lazyobs.screen.app import Top
from lazyobs.screen.clocks import LiveClock
from lazyobs.screen.feed import ReplayFeed
from lazyobs.screen.view import VIEWS, View
from tests.harness import ROOT
from tests.screen.screens import LAB, SAMPLES, Handmade, lab_app, live_app, process, run, sample, until

pytestmark = pytest.mark.usefixtures("in_utc")

SNAPSHOTS = Path(__file__).parent / "snapshots"
SIZES = [(80, 24), (120, 40), (200, 60)]


def compare(name: str, shown: str) -> None:
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("LAZYOBS_SNAPSHOTS") == "write":
        path.write_text(shown + "\n", encoding="utf-8")
    assert shown + "\n" == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("view", VIEWS)
def test_the_last_sample_of_the_lab_recording(size, view):
    app = lab_app()

    async def drive(pilot):
        for key in (str(VIEWS.index(view) + 1), *["right_curly_bracket"] * 4):
            await pilot.press(key)
        feed = app._feed_clock.feed
        assert isinstance(feed, ReplayFeed)
        times = feed.times
        await until(
            pilot,
            lambda: (
                f"PAUSED {SAMPLES}/{SAMPLES}" in app.canvas.text() and app.view.screen_state.sample.time == times[-1]
            ),
        )
        compare(f"{view}-{size[0]}x{size[1]}", app.canvas.text())

    run(app, size, drive)


def test_one_process_and_the_help():
    app = lab_app()

    async def drive(pilot):
        await pilot.press("end", "enter")
        await until(pilot, lambda: "without anonymous pages yet" in app.canvas.text())
        compare("process-120x40", app.canvas.text())
        await pilot.press("question_mark")
        await until(pilot, lambda: "Legend" in app.canvas.text())
        compare("help-120x40", app.canvas.text())

    run(app, (120, 40), drive)


def test_any_sample_is_what_was_recorded():
    """Forwards, backwards and by a click on the time line."""
    recorded = list(Recording(str(LAB)).samples())
    app = lab_app()

    async def is_at(pilot, index):
        await until(pilot, lambda: app.view.screen_state.sample.time == recorded[index].time)
        assert app.view.screen_state.sample.as_json() == recorded[index].as_json()

    async def drive(pilot):
        for key, index in (("]", 1), ("]", 2), ("}", 12), ("[", 11), ("{", 1), ("[", 0), ("[", 0)):
            await pilot.press({"[": "left_square_bracket", "]": "right_square_bracket", "{": "left_curly_bracket", "}": "right_curly_bracket"}[key])  # fmt: skip
            await is_at(pilot, index)
        await pilot.click(offset=(70, 22))
        await is_at(pilot, SAMPLES - 1)
        await pilot.click(offset=(9, 22))
        await is_at(pilot, 0)

    run(app, (80, 24), drive)


def test_a_recording_plays_to_its_end_and_stays():
    app = lab_app(interval=0.01)

    async def drive(pilot):
        await until(pilot, lambda: f"REPLAY {SAMPLES}/{SAMPLES}" in app.canvas.text())
        app._feed_clock.delay = 3600.0
        await pilot.press("space", "space")
        await until(pilot, lambda: f"REPLAY 1/{SAMPLES}" in app.canvas.text())

    run(app, (120, 40), drive)


def test_a_recording_ends_after_its_iterations():
    app = lab_app(interval=0.01)
    app._iterations = 7

    async def drive(pilot):
        await until(pilot, lambda: not app.is_running)
        assert f"REPLAY 7/{SAMPLES}" in app.canvas.text()

    run(app, (80, 24), drive)


def test_live_samples_follow_each_other_and_can_be_frozen():
    feed = Handmade(lambda number: sample(process(3, f"prog{number}")))
    app = live_app(feed)

    async def drive(pilot):
        await until(pilot, lambda: feed.count > 7)
        await pilot.press("space")
        frozen = app.view.screen_state.sample
        await until(pilot, lambda: feed.count > 13)
        assert app.view.screen_state.sample is frozen
        assert "FROZEN" in app.canvas.text()
        name = frozen.processes[0].comm
        await pilot.press("left_square_bracket")
        assert app.view.screen_state.sample.processes[0].comm == f"prog{int(name[4:]) - 1}"
        await pilot.press("space")
        await until(pilot, lambda: app.view.screen_state.sample.processes[0].comm == f"prog{feed.count - 1}")

    run(app, (80, 24), drive)


def test_the_delay_can_be_changed_on_the_fly():
    feed = Handmade(lambda number: sample(process(3)))
    feed.interval = 3600.0
    app = live_app(feed)

    async def drive(pilot):
        assert feed.count == 1
        await pilot.press("d", "ctrl+u", "0", ".", "0", "5", "enter")
        await until(pilot, lambda: feed.count > 3)
        assert "0.05s" in app.canvas.text()

    run(app, (80, 24), drive)


def test_what_a_page_lacks_is_read_at_once():
    feed = Handmade(lambda number: sample(process(3, "prog")))
    feed.interval = 3600.0
    app = live_app(feed)

    async def drive(pilot):
        await pilot.press("enter")
        await until(pilot, lambda: feed.count == 2)
        assert feed.wanted[1].vmas_of == 3

    run(app, (80, 24), drive)


def test_only_lines_that_changed_are_drawn(monkeypatch):
    feed = Handmade(lambda number: sample(process(3, "same"), process(5, f"other{number}")))
    app = live_app(feed)
    drawn: list[int] = []
    render = app.canvas.render_line

    def render_line(y):
        drawn.append(y)
        return render(y)

    async def drive(pilot):
        await until(pilot, lambda: feed.count > 3)
        row = next(at for at, line in enumerate(app.canvas.text().splitlines()) if "same" in line)
        monkeypatch.setattr(app.canvas, "render_line", render_line)
        seen = feed.count
        await until(pilot, lambda: feed.count > seen + 5)
        assert row not in drawn and row + 1 in drawn

    run(app, (120, 40), drive)


def test_q_ends_it_and_so_does_the_end_of_what_is_watched():
    app = live_app(Handmade(lambda number: sample(process(3))))

    async def press_q(pilot):
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)

    run(app, (80, 24), press_q)
    feed = Handmade(lambda number: sample(*([process(3)] if number < 5 else []), process(7)))
    clock = LiveClock(feed)
    watching = Top(clock, View(clock, app.view.palette, app.view.glyphs), pids=(3,))

    async def wait(pilot):
        await until(pilot, lambda: not watching.is_running)
        assert feed.count == 6

    run(watching, (80, 24), wait)


def test_a_feed_that_fails_ends_it_with_its_error():
    def fail(number):
        if number == 3:
            raise UsageError("the feed", "has failed", "try again")
        return sample(process(3))

    app = live_app(Handmade(fail))

    async def wait(pilot):
        await until(pilot, lambda: not app.is_running)

    with pytest.raises(UsageError, match="has failed"):
        run(app, (80, 24), wait)


def test_markup_in_names_is_text():
    app = live_app(Handmade(lambda number: sample(process(3, "[red]x[/][@click=q]y"))))

    async def drive(pilot):
        assert "[red]x[/][@click=q]y" in app.canvas.text()

    run(app, (120, 40), drive)


def test_a_small_screen_and_back():
    app = live_app(Handmade(lambda number: sample(*(process(pid) for pid in range(1, 102)))))

    def has_lines(number):
        return len(app.canvas.text().splitlines()) == number

    async def drive(pilot):
        for size in ((20, 5), (1, 1), (200, 60), (80, 24)):
            await pilot.resize_terminal(*size)
            await until(pilot, partial(has_lines, size[1]))

    run(app, (80, 24), drive)


def test_a_still_picture_follows_the_size():
    app = lab_app()

    async def drive(pilot):
        await pilot.resize_terminal(60, 20)
        await until(pilot, lambda: app.canvas.text().splitlines()[7].endswith("COMMAND"))
        assert max(map(len, app.canvas.text().splitlines())) <= 60

    run(app, (100, 30), drive)


def test_a_terminal_that_was_behind_sees_the_last_picture(monkeypatch):
    app = lab_app()

    async def drive(pilot):
        monkeypatch.setattr(type(app._driver), "behind", True, raising=False)
        await pilot.press("r")
        before = app.canvas.text()
        assert "▲" not in before
        monkeypatch.setattr(type(app._driver), "behind", False)
        await until(pilot, lambda: "▲" in app.canvas.text())

    run(app, (80, 24), drive)


def test_nothing_is_imported_after_root_has_been_given_up():
    """The user nobody may be unable to read modules: lazyobs.screen.run imports all that the screen needs."""
    code = """
import asyncio, os, sys
import lazyobs.screen.run
from lazyobs.screen.web import server, sessions
from tests.screen.screens import Handmade, live_app, process, sample, until
import textual.drivers.headless_driver, concurrent.futures.thread, asyncio.events
def files():
    return {name for name, module in sys.modules.items() if "site-packages" in (getattr(module, "__file__", None) or "") or name.startswith("lazyobs")}
before = files()
async def main():
    app = live_app(Handmade(lambda number: sample(process(3), process(5))))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.view.screen_state is not None)
        for key in ("1", "2", "3", "4", "5", "6", "h", "escape", "1", "enter", "escape", "s", "escape", "f", "escape", "t", "c", "c", "slash", "a", "enter", "escape", "d", "escape", "space", "left_square_bracket", "y", "space"):
            await pilot.press(key)
        await pilot.click(offset=(9, 9))
        await pilot.resize_terminal(90, 30)
        await pilot.press("q")
asyncio.run(main())
print(sorted(files() - before))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert (answer.stdout, answer.returncode) == ("[]\n", 0), answer.stderr[-2000:]
