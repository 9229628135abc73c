# SPDX-License-Identifier: MIT
"""``lazyobs top`` as tables, JSON or CSV: samples one after another, or on the plain screen."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lazyobs.commands.options import say_how
from lazyobs.commands.replay_options import open_recording
from lazyobs.commands.top import SORT
from lazyobs.preload import preload
from lazyobs.sources.open import open_live, points_but
from lazyobs.sources.sight import refuse_pids
from lazyobs.text import say

if TYPE_CHECKING:
    from lazyobs.commands.top import TopCommand
    from lazyobs.sources.source import Source


def run(asked: TopCommand) -> None:
    batch = asked.batch or not sys.stdout.isatty()
    source, interval, notice = _live(asked) if asked.recorded.replay is None else _recorded(asked, batch)
    from lazyobs.views import top as view

    if notice and (batch or asked.output != "table"):
        say(notice)
    options = view.TopOptions(
        interval=interval,
        iterations=asked.samples,
        batch=batch,
        output=asked.output,
        views=asked.views,
        sort=asked.sort or SORT,
        rows=asked.rows,
        filter=asked.filter,
        notice=notice,
    )
    try:
        view.run(source, options)
    finally:
        source.close()


def _live(asked: TopCommand) -> tuple[Source, float, str]:
    """(source, seconds between samples, notice)."""
    probes = asked.probes
    refuse_pids(asked.filter.pids, probes.tier)
    opened = open_live(
        probes.profile,
        probes.tier,
        points_but("census_vmas"),
        meanwhile=preload("lazyobs.views.top"),
        args=asked.args,
        budget=asked.budget,
    )
    say_how(opened, probes.verbose)
    return opened.source, asked.seconds or 1.0, opened.notice


def _recorded(asked: TopCommand, batch: bool) -> tuple[Source, float, str]:
    assert asked.recorded.replay is not None
    source = open_recording(asked.recorded.replay)
    on_screen = asked.output == "table" and not batch
    return source, asked.seconds or asked.recorded.seconds_between(source, on_screen), ""
