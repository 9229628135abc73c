# SPDX-License-Identifier: MIT
"""Options that several commands share, and what they mean."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from lazyobs.model import LEAST_INTERVAL, MOST_INTERVAL, TIERS
from lazyobs.sources.live import LiveSource
from lazyobs.sources.open import Opened
from lazyobs.text import plural, printable


class Finite(click.FloatRange):
    """A number of a range: NaN is in none, but no comparison says so, and infinity is in one that has no end."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is no finite number", param, ctx)
        return number


SECONDS = Finite(min=LEAST_INTERVAL, max=MOST_INTERVAL)


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that every command has."""
    for option in reversed(
        (
            click.option("-o", "output", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True, help="Form of the output."),
            click.option("--profile", type=click.Path(path_type=Path), help="Profile file of a kernel design; detected otherwise."),
            click.option("--tier", type=click.Choice(TIERS), help="Best tier to use."),
            click.option("-v", "verbose", is_flag=True, help="Say more on standard error."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def pids_of(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int, ...]:
    if value is None:
        return ()
    try:
        pids = tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of process ids: use -p 1234,5678") from None
    if any(not 0 < pid < 1 << 22 for pid in pids):
        raise click.BadParameter(f"{value!r} has a number that is no process id")
    return pids


def exclude(context: click.Context, one: str, others: tuple[str, ...], why: str) -> None:
    """UsageError where a parameter and one of the others were both typed."""
    typed = {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if one not in typed:
        return
    named = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    for other in others:
        if other in typed:
            raise click.UsageError(f"{named[other]} has no meaning with {named[one]}: {why}")


def points_but(*names: str) -> tuple[str, ...]:
    from lazyobs.bpf.points import POINTS

    return tuple(point.name for point in POINTS if point.name not in names)


def say_how(opened: Opened, verbose: bool) -> None:
    """With -v, on standard error: how the probes came to be."""
    if verbose and isinstance(opened.source, LiveSource):
        session = opened.source.session
        how = "compiled" if session.compiled else "compiled at an earlier start"
        count = len(session.programs)
        print(
            f"lazyobs: probes {how} ({session.interpreter}); {count} {plural(count, 'program')} attached",
            file=sys.stderr,
        )
        for ignored in session.ignored:
            print(f"lazyobs: kept but not used: {printable(ignored)}", file=sys.stderr)
        for point, refused in session.refused.items():
            for tier, why in refused.items():
                print(f"lazyobs: {point}: {tier}: {printable(why)}", file=sys.stderr)


def notice_of(why_not: str) -> str:
    return f"lazyobs: tier procfs, counters are null: {why_not}; run lazyobs doctor for more" if why_not else ""
