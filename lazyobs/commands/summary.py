# SPDX-License-Identifier: MIT
"""``lazyobs summary``"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import click

from lazyobs.bpf.session import VARIABLE
from lazyobs.commands.options import ARGS, COMMON, ProbeOptions, collected, exclude, interval_option, say_how
from lazyobs.commands.replay_options import REPLAY, check_replay, open_recording
from lazyobs.errors import LazyobsError
from lazyobs.preload import preload
from lazyobs.sources.open import open_live
from lazyobs.text import say
from lazyobs.unix import interrupt
from lazyobs.views.costs import Costs

_SECONDS = 2
_PATIENCE = "3"  # seconds that the list of commands may wait for the probes


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


def in_short() -> list[str]:
    """The first lines of the answer about this machine; who may not have them learns the command."""
    if os.geteuid() != 0:
        return ["What it costs this machine, and who: sudo lazyobs summary"]
    os.environ.setdefault(VARIABLE, _PATIENCE)
    try:
        opened = open_live(points=("census",), meanwhile=preload("lazyobs.views.summary"))
    except LazyobsError as error:
        return [f"What it costs this machine: not known: {error}"]
    from lazyobs.views.costs import costs
    from lazyobs.views.summary import first_lines

    try:
        sample = opened.source.read()
        found = first_lines(costs(sample, sample, opened.source.memory(), 0.0))
    except OSError as error:
        found = [f"not known: {error}"]
    finally:
        opened.source.close()
    return ["This machine, in short; lazyobs summary has more:", *found]


def _recorded(directory: Path) -> Costs:
    from lazyobs.views.costs import costs

    first, last = open_recording(directory), open_recording(directory, last=True)
    try:
        return costs(first.read(), last.read(), last.memory(), first.seconds)
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
        interrupt.sleep(asked.delay)
        last = source.read()
        return costs(first, last, source.memory(), last.elapsed)
    finally:
        source.close()
