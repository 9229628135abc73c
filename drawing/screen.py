# SPDX-License-Identifier: MIT
"""Pictures of the full screen, of recordings: anybody can draw the same again."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from drawing.browser import photograph
from lazyobs.recording.replay import open_replay
from lazyobs.screen.app import Top
from lazyobs.screen.clocks import RecordedClock
from lazyobs.screen.feed import ReplayFeed
from lazyobs.screen.palette import PALETTES, UNICODE
from lazyobs.screen.terminal import RICH
from lazyobs.screen.view import View

_TURNS = 600  # of 20 ms, until the screen shows what is wanted


@dataclass(frozen=True)
class ScreenPicture:
    """``recording`` below examples/; ``back``: samples before its last; ``keys`` by Textual's names."""

    recording: str
    columns: int
    lines: int
    back: int = 0
    keys: Sequence[str] = ()


class _Drawn:
    """What the screen shows: as text, and as SVG."""

    def __init__(self, text: str, svg: str) -> None:
        self.text, self.svg = text, svg


def shown(picture: ScreenPicture, examples: Path) -> _Drawn:
    """The screen with the picture's sample, in UTC."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        return asyncio.run(_shown(picture, examples))
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


async def _shown(picture: ScreenPicture, examples: Path) -> _Drawn:
    clock = RecordedClock(ReplayFeed(open_replay(examples / picture.recording), 3600.0))
    app = Top(clock, View(clock, PALETTES[RICH], UNICODE))
    async with app.run_test(size=(picture.columns, picture.lines)) as pilot:
        last = len(clock.feed.times) - 1 - picture.back
        for _ in range(_TURNS):
            state = app.view.screen_state
            if state is not None and state.sample.time == clock.feed.times[last]:
                break
            clock.seek(last)
            await pilot.pause()
            await asyncio.sleep(0.02)
        else:
            raise RuntimeError(f"{picture.recording}: the screen never showed sample {last}")
        for key in picture.keys:
            await pilot.press(key)
        await pilot.pause()
        drawn = _Drawn(app.canvas.text(), app.export_screenshot(title="lazyobs top"))
    if app.failure is not None:
        raise app.failure
    return drawn


def draw(picture: ScreenPicture, examples: Path, file: Path) -> str:
    """Writes the PNG; the words in it."""
    drawn = shown(picture, examples)
    width, height = 12.2 * picture.columns + 20, 24.4 * picture.lines + 52  # of Rich's SVG, in pixels
    with TemporaryDirectory(prefix="lazyobs-drawing-") as folder:
        page = Path(folder) / "screen.html"
        # The fonts that the SVG asks for are on the net: whatever is monospaced here does.
        svg = drawn.svg.replace("Fira Code", "DejaVu Sans Mono")
        page.write_text(f'<!doctype html><meta charset="utf-8"><style>body{{margin:0}}</style>{svg}', encoding="utf-8")
        photograph(page.as_uri(), round(width), round(height), file)
    return drawn.text + "\n"
