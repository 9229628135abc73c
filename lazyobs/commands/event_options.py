# SPDX-License-Identifier: MIT
"""The options of ``trace`` and ``record`` that select events. They make an EventChoice."""

from __future__ import annotations

import click

from lazyobs.commands import completions
from lazyobs.commands.options import Finite, all_of
from lazyobs.sources.event_choice import KINDS


def _kinds(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    kinds = tuple(dict.fromkeys(value.split(",")))
    for kind in kinds:
        if kind not in KINDS:
            raise click.BadParameter(f"{kind!r} is not a kind of event: use one or more of {','.join(KINDS)}")
    return kinds


def _comm(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value == "":
        raise click.BadParameter("'' is not a thread name")
    return value


EVENT_OPTIONS = all_of(
    click.option("-e", "--events", "kinds", callback=_kinds, metavar="KIND,..", shell_complete=completions.list_of(KINDS), help=f"Kinds of events: {', '.join(KINDS)}; default: all but prepare."),
    click.option("--min-us", type=Finite(min=0, max=4_000_000), metavar="N", help="Only events of at least N microseconds (default: 1000 for walks and lock waits, 0 for others)."),
    click.option("--comm", callback=_comm, metavar="NAME", help="Only events of threads with this name; only its first 15 bytes count, because the kernel keeps no more."),
)  # fmt: skip
