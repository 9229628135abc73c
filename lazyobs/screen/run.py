# SPDX-License-Identifier: MIT
"""Runs the screen on this terminal. Imported before root is given up: it must import all that the screen needs."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Iterable
from dataclasses import replace

import textual.pilot
from textual import scrollbar
from textual.layouts import factory, horizontal, stream

from lazyobs.screen import terminal_guard
from lazyobs.screen.app import Top
from lazyobs.screen.clocks import LiveClock, RecordedClock
from lazyobs.screen.feed import KernelFeed, ReplayFeed
from lazyobs.screen.palette import ASCII, PALETTES, UNICODE
from lazyobs.screen.settings import AUTO, Settings, SettingsWriter
from lazyobs.screen.terminal import depth_of, has_blocks
from lazyobs.screen.view import View
from lazyobs.views.process_filter import ProcessFilter

IMPORTED_LATE = (textual.pilot, factory, horizontal, scrollbar, stream)  # Textual would import these on first use


def run(
    feed: KernelFeed | ReplayFeed,
    settings: Settings,
    settings_writer: SettingsWriter | None,
    process_filter: ProcessFilter,
    view: str,
    rows: int | None,
    iterations: int | None,
) -> None:
    """Returns when the user quits, a signal ends it, or ``iterations`` is reached; then saves changed settings.

    Raises the error that ended it.
    """
    before = replace(settings, columns=list(settings.columns), fork_columns=list(settings.fork_columns))
    depth = depth_of(os.environ) if settings.colours == AUTO else settings.colours
    clock: LiveClock | RecordedClock
    if isinstance(feed, KernelFeed):
        clock, notice = LiveClock(feed), feed.notice
    else:
        clock, notice = RecordedClock(feed), ""
    shown = View(
        clock,
        PALETTES[depth],
        UNICODE if has_blocks(os.environ, sys.stdout.encoding) else ASCII,
        settings,
        process_filter,
        view,
        rows,
        notice=notice,
    )
    gc.collect()
    gc.freeze()  # imported modules stay: scanning them took a third of the garbage collector's time
    app = Top(clock, shown, iterations, process_filter.pids)
    with terminal_guard.guard(sys.stdin.fileno(), sys.stdout.fileno()):
        asyncio.run(_run(app))
    if settings_writer is not None:
        if clock.delay_chosen:
            settings.delay = clock.delay
        if settings != before:
            settings_writer.write(settings.to_toml())
    if app.failure is not None:
        raise app.failure


async def _run(app: Top) -> None:
    """Signals end it as ``q`` does: the terminal is restored first."""
    loop = asyncio.get_running_loop()
    for number in _END_SIGNALS:
        loop.add_signal_handler(number, app.exit)
    await app.run_async()


_END_SIGNALS: Iterable[signal.Signals] = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
