# SPDX-License-Identifier: MIT
"""Running the screen on this terminal. Imported before root is given up, and with it all that it will ever need."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Iterable
from dataclasses import replace

import textual.pilot
from textual.layouts import factory, horizontal, stream

from lazyobs.screen import terminal_guard
from lazyobs.screen.app import Top
from lazyobs.screen.clocks import LiveClock, RecordedClock
from lazyobs.screen.feed import KernelFeed, ReplayFeed
from lazyobs.screen.palette import ASCII, PALETTES, UNICODE
from lazyobs.screen.rows import Filter
from lazyobs.screen.settings import AUTO, Settings, SettingsWriter
from lazyobs.screen.terminal import depth_of, has_blocks
from lazyobs.screen.view import View

IMPORTED_LATE = (textual.pilot, factory, horizontal, stream)  # by Textual, when they are needed


def run(
    feed: KernelFeed | ReplayFeed,
    settings: Settings,
    settings_writer: SettingsWriter | None,
    wanted: Filter,
    view: str,
    rows: int | None,
    iterations: int | None,
) -> None:
    """Until it is ended, by whatever; then what was changed is remembered. Raises what ended it."""
    before = replace(settings, columns=list(settings.columns), fork_columns=list(settings.fork_columns))
    depth = depth_of(os.environ) if settings.colours == AUTO else settings.colours
    clock: LiveClock | RecordedClock
    if isinstance(feed, KernelFeed):
        clock, notice = LiveClock(feed), feed.notice
    else:
        clock, notice = RecordedClock(feed), ""
    seen = View(
        clock,
        PALETTES[depth],
        UNICODE if has_blocks(os.environ, sys.stdout.encoding) else ASCII,
        settings,
        wanted,
        view,
        rows,
        notice=notice,
    )
    gc.collect()
    gc.freeze()  # what has been imported stays: looking through it now and then took a third of the collector's time
    app = Top(clock, seen, iterations, wanted.pids)
    with terminal_guard.watching(sys.stdin.fileno(), sys.stdout.fileno()):
        asyncio.run(_run(app))
    if settings_writer is not None:
        if clock.delay_chosen:
            settings.delay = clock.delay
        if settings != before:
            settings_writer.write(settings.to_toml())
    if app.failure is not None:
        raise app.failure


async def _run(app: Top) -> None:
    """Signals end it as a key does: the terminal is put back first."""
    loop = asyncio.get_running_loop()
    for number in _ENDING:
        loop.add_signal_handler(number, app.exit)
    await app.run_async()


_ENDING: Iterable[signal.Signals] = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
