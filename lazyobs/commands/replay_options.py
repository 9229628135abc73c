# SPDX-License-Identifier: MIT
"""``--replay DIR`` and ``--speed``, for the commands that can show a recording."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lazyobs.commands.options import exclude

if TYPE_CHECKING:
    from lazyobs.recording.replay import ReplaySource

REPLAY = click.option("--replay", type=click.Path(path_type=Path), metavar="DIR", help="Show a recording; needs no permissions.")  # fmt: skip


def _speed(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    if value == "max":
        return math.inf
    try:
        speed = float(value.removesuffix("x"))
    except ValueError:
        speed = math.nan
    if not 0 < speed < math.inf:
        raise click.BadParameter(f"{value!r} is no speed: use 10x, 0.5x or max")
    return speed


SPEED = click.option("--speed", callback=_speed, metavar="Nx|max", help="Speed of --replay: 1x on a screen, max otherwise.")  # fmt: skip


def replaying(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``replay`` and ``speed`` (inf for max, None when not given)."""
    return REPLAY(SPEED(command))


def check_replay() -> None:
    """UsageError for options of the running command that would not be heard."""
    context = click.get_current_context()
    exclude(context, "replay", ("tier", "profile"), "a recording is of the kernel and the tiers it was made with")
    if context.params.get("speed") is not None and context.params["replay"] is None:
        raise click.UsageError("--speed has no meaning without --replay")


def seconds_between(source: ReplaySource, speed: float | None, on_screen: bool) -> float:
    """Seconds to wait between two samples; 0 for max."""
    return source.interval / (speed or (1.0 if on_screen else math.inf))
