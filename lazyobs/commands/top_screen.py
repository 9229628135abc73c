# SPDX-License-Identifier: MIT
"""``lazyobs top`` on the full screen."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lazyobs.commands.options import say_how
from lazyobs.commands.replay_options import open_recording
from lazyobs.preload import preload
from lazyobs.screen.feed import KernelFeed, ReplayFeed
from lazyobs.screen.settings import Settings, SettingsWriter, person
from lazyobs.sources.open import open_live
from lazyobs.sources.sight import refuse_pids

if TYPE_CHECKING:
    from lazyobs.commands.top import TopCommand

_LEAST_REPLAY = 0.05  # seconds between two samples of a recording


def run(asked: TopCommand) -> None:
    settings_writer, settings = remembered(asked)
    feed = open_feed(asked, settings)
    from lazyobs.screen import run as screen

    try:
        screen.run(feed, settings, settings_writer, asked.filter, asked.views[0], asked.rows, asked.samples)
    finally:
        feed.close()
        if settings_writer is not None:
            settings_writer.close()


def remembered(asked: TopCommand) -> tuple[SettingsWriter | None, Settings]:
    """The settings of the person at the terminal. Read first, before this process holds any privileged descriptor."""
    whose = person(os.environ, os.getuid())
    settings_writer, settings = None, Settings()
    try:
        settings_writer = SettingsWriter(whose) if whose is not None else None
        settings = Settings.from_toml(settings_writer.text or "") if settings_writer is not None else settings
    except OSError:
        pass  # settings will not be saved
    except ValueError:  # a file that is not TOML is not overwritten
        if settings_writer is not None:
            settings_writer.close()
            settings_writer = None
    if asked.sort is not None:
        settings.sort, settings.reverse = asked.sort, False
    return settings_writer, settings


def open_feed(asked: TopCommand, settings: Settings) -> KernelFeed | ReplayFeed:
    """Opens the running kernel with everything that a page may need, or the recording."""
    if asked.recorded.replay is not None:
        source = open_recording(asked.recorded.replay)
        every = asked.seconds or asked.recorded.seconds_between(source, on_screen=True)
        return ReplayFeed(source, max(every, _LEAST_REPLAY))
    probes = asked.probes
    refuse_pids(asked.filter.pids, probes.tier)
    opened = open_live(
        probes.profile,
        probes.tier,
        meanwhile=preload("lazyobs.screen.run", "curses"),
        events=True,
        args=asked.args,
        budget=asked.budget,
    )
    say_how(opened, probes.verbose)
    return KernelFeed(opened.source, asked.seconds or settings.delay or 1.0, opened.notice)
