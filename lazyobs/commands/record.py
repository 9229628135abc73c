# SPDX-License-Identifier: MIT
"""``lazyobs record``"""

from __future__ import annotations

import re
from pathlib import Path

import click

from lazyobs.commands.event_options import filtering, make_filter, span
from lazyobs.commands.options import SECONDS, Finite, notice_of, pids_of, points_but
from lazyobs.model import TIERS

_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_LEAST_BYTES = 1 << 20


def _size(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", value)
    size = int(float(found[1]) * _SIZES[found[2]]) if found else 0
    if size < _LEAST_BYTES:
        raise click.BadParameter(f"{value!r} is no size of 1M or more: use 100M or 2G")
    return size


def _directory(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not value:
        raise click.BadParameter("'' is no name of a directory")
    return str(Path(value))  # without a slash at the end, which would lead through a link


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("-o", "directory", required=True, callback=_directory, metavar="DIR", help="Directory to make.")
@click.option("--interval", type=SECONDS, default=1.0, show_default=True, help="Seconds between samples.")
@click.option("--duration", callback=span, metavar="TIME", help="End after that time (90, 15m, 24h).")
@click.option(
    "--barrier",
    type=Finite(min=0, max=86400),
    default=60.0,
    show_default=True,
    help="Seconds between barrier samples (slab counts after a shrink); 0 for none.",
)
@click.option(
    "--max-size", callback=_size, metavar="SIZE", help="Keep no more than that (100M, 2G), dropping the oldest."
)
@click.option("--max-age", callback=span, metavar="TIME", help="Keep no more than the last TIME.")
@click.option(
    "--keep-on",
    multiple=True,
    metavar="TRIGGER[:N]",
    help="Keep what led up to it: splat, promotion-storm, promotion-failure, fork-storm, slow-walk, loss, violation.",
)
@filtering
@click.option(
    "--progress",
    type=click.Choice(["text", "json", "none"]),
    default="text",
    show_default=True,
    help="What to say while recording; json goes to standard output.",
)
@click.option("--profile", type=click.Path(path_type=Path), help="Profile file of a kernel design; detected otherwise.")
@click.option("--tier", type=click.Choice(TIERS), help="Best tier to use.")
@click.option(
    "-p", "pids", callback=pids_of, metavar="PID,..", help="Events of these processes only; samples have all."
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def record(
    directory: str,
    interval: float,
    duration: float | None,
    barrier: float,
    max_size: int | None,
    max_age: float | None,
    keep_on: tuple[str, ...],
    kinds: tuple[str, ...] | None,
    min_us: float | None,
    comm: str | None,
    progress: str,
    profile: Path | None,
    tier: str | None,
    pids: tuple[int, ...],
    command: tuple[str, ...],
) -> None:
    """Record samples, events and the kernel log. With -- COMMAND until it ends, with its exit status."""
    from lazyobs.recorder import run

    options = run.RecordOptions(
        directory=directory,
        interval=interval,
        duration=duration,
        barrier=barrier or None,
        max_bytes=max_size,
        max_seconds=max_age,
        keep_on=keep_on,
        kinds=kinds,
        event_filter=make_filter(kinds, min_us, pids, comm),
        progress=progress,
        profile=profile,
        tier=tier,
        points=points_but("census_vmas"),
        command=command,
        notice=notice_of,
    )
    click.get_current_context().exit(run.run(options))
