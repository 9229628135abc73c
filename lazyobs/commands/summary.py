# SPDX-License-Identifier: MIT
"""``lazyobs summary``"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import click

from lazyobs.commands.options import ARGS, COMMON, ProbeOptions, collected, exclude, interval_option, say_how
from lazyobs.commands.replay_options import REPLAY, check_replay, open_recording
from lazyobs.preload import preload
from lazyobs.sources.open import open_live
from lazyobs.text import say
from lazyobs.views.costs import Costs

_SECONDS = 2


@dataclass(frozen=True)
class SummaryCommand:
    output: str
    probes: ProbeOptions
    delay: float
    replay: Path | None
    args: bool


@click.command()
@COMMON
@interval_option("delay", _SECONDS, "Seconds to watch, for what is per second.")
@REPLAY
@ARGS
@collected(SummaryCommand)
def summary(asked: SummaryCommand) -> None:
    """What anonymous reverse mapping costs this machine, who holds it, and what a lazy kernel would save."""
    check_replay()
    exclude(
        click.get_current_context(), "replay", ("delay",), "a recording is summed up from its first sample to its last"
    )
    found = _recorded(asked.replay) if asked.replay is not None else _live(asked)
    from lazyobs.views import summary as view

    view.show(found, asked.output)


def _recorded(directory: Path) -> Costs:
    from lazyobs.views.costs import costs

    first, last = open_recording(directory), open_recording(directory, last=True)
    try:
        return costs(first.read(), last.read(), last.memory())
    finally:
        first.close()
        last.close()


def _live(asked: SummaryCommand) -> Costs:
    from lazyobs.views.costs import costs

    opened = open_live(
        asked.probes.profile, asked.probes.tier, meanwhile=preload("lazyobs.views.summary"), args=asked.args
    )
    say_how(opened, asked.probes.verbose)
    if opened.notice:
        say(opened.notice)
    source = opened.source
    try:
        first = source.read()
        time.sleep(asked.delay)
        return costs(first, source.read(), source.memory())
    finally:
        source.close()
