# SPDX-License-Identifier: MIT
"""``lazyobs record``: the command line is the recorder's own RecordOptions (recorder/options.py)."""

from __future__ import annotations

import re
from pathlib import Path

import click

from lazyobs.commands import completions
from lazyobs.commands.event_options import EVENT_OPTIONS
from lazyobs.commands.options import (
    ALSO,
    BUDGET,
    COMPILE,
    PROFILE,
    TIER,
    Finite,
    check_budget,
    check_pids,
    collected,
    interval_option,
    pids_option,
    span,
)
from lazyobs.recorder.options import RecordOptions
from lazyobs.recorder.triggers import TRIGGERS, Trigger, parse

_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_LEAST_BYTES, _MOST_BYTES = 1 << 20, 1 << 50
_FORMATS = ("table", "json", "csv")  # what -o is to the other commands


def _size(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", value)
    size = float(found[1]) * _SIZES[found[2]] if found else 0.0
    if not _LEAST_BYTES <= size <= _MOST_BYTES:
        shown = value if len(value) <= 40 else f"{value[:40]}..."
        raise click.BadParameter(f"{shown!r} is not a size from 1M to 1024T: use 100M or 2G")
    return int(size)


def _directory(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not value:
        raise click.BadParameter("'' is not a directory name")
    if value in _FORMATS:
        why = f"record writes one format, into a directory; for one of that name use ./{value}"
        raise click.BadParameter(why + (", for progress as JSON --progress json" if value == "json" else ""))
    return str(Path(value))  # without a trailing slash, which would follow a link


def _triggers(_context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]) -> tuple[Trigger, ...]:
    return tuple(parse(text) for text in value)


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("-o", "--directory", "directory", required=True, callback=_directory, metavar="DIR", shell_complete=completions.directories, help="Directory to create for the recording.")  # fmt: skip
@interval_option("interval", 1)
@click.option("--duration", callback=span, metavar="TIME", help="Stop after this time (90, 15m, 24h).")
@click.option(
    "--barrier",
    type=Finite(min=0, max=86400),
    metavar="SECONDS",
    default=60,
    show_default=True,
    help="Seconds between barrier samples (slab counts after a shrink); 0 for none.",
)
@click.option(
    "--max-size",
    "max_bytes",
    callback=_size,
    metavar="SIZE",
    help="Limit of the recording's size (100M, 2G); the oldest segments are dropped.",
)
@click.option("--max-age", "max_seconds", callback=span, metavar="TIME", help="Keep only the last TIME.")
@click.option(
    "--keep-on",
    multiple=True,
    callback=_triggers,
    metavar="TRIGGER[:N]",
    shell_complete=completions.one_of(TRIGGERS),
    help=f"When the trigger fires, keep what led up to it: {', '.join(TRIGGERS)}.",
)
@EVENT_OPTIONS
@click.option(
    "--progress",
    type=click.Choice(["text", "json", "none"]),
    default="text",
    show_default=True,
    help="Progress output while recording; json goes to standard output.",
)
@click.option("--cmdline", "whole_cmdline", is_flag=True, help="Record the kernel's whole command line, not only the options that matter here.")  # fmt: skip
@PROFILE
@TIER
@ALSO
@BUDGET
@COMPILE
@pids_option("Only events of these processes; samples have all processes.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@collected(RecordOptions)
def record(options: RecordOptions) -> None:
    """Record samples, events and the kernel log. With -- COMMAND, record until it ends and exit with its status."""
    if options.command[:1] == ("",):
        raise click.UsageError("'' is not a command")
    check_budget(options.budget, options.tier)
    check_pids(options.events.pids)
    from lazyobs.recorder import run

    click.get_current_context().exit(run.run(options))
