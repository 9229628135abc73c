# SPDX-License-Identifier: MIT
"""``lazyobs top``"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lazyobs.commands.options import SECONDS, common, notice_of, pids_of, points_but, say_how
from lazyobs.commands.replaying import replaying, seconds_between
from lazyobs.sources.opening import open_live
from lazyobs.sources.source import Source
from lazyobs.views import columns


def _views(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(value.split(","))
    for name in names:
        if name not in columns.VIEWS:
            raise click.BadParameter(f"{name!r} is no view: use one or more of {','.join(columns.VIEWS)}")
    return names


def _import_view() -> None:
    """Tables take longer to import than the loader leaves idle: done while it compiles."""
    from lazyobs.views import top  # noqa: F401


@click.command()
@common
@click.option("-d", "delay", type=SECONDS, help="Seconds between samples (1).")
@click.option("-n", "iterations", type=click.IntRange(min=1), help="Samples to show; no end otherwise.")
@click.option("-b", "batch", is_flag=True, help="Print samples one after the other, no screen.")
@click.option("-p", "pids", callback=pids_of, metavar="PID,..", help="Only these processes.")
@click.option("-u", "user", help="Only this user's processes.")
@click.option("-c", "cgroup", help="Only processes in this cgroup and below.")
@click.option("-s", "sort", default="savable_bytes", show_default=True, metavar="COLUMN", help="Column to sort by.")
@click.option("-r", "rows", type=click.IntRange(min=1), help="Processes to show.")
@click.option("--view", "views", default="processes", callback=_views, show_default=True, metavar="VIEW,..", help="processes, forks, rmap, promotions, slabs, probes.")  # fmt: skip
@replaying
@click.argument("interval", type=SECONDS, required=False)
@click.argument("count", type=click.IntRange(min=1), required=False)
def top(
    output: str,
    profile: Path | None,
    tier: str | None,
    verbose: bool,
    delay: float | None,
    iterations: int | None,
    batch: bool,
    pids: tuple[int, ...],
    user: str | None,
    cgroup: str | None,
    sort: str,
    rows: int | None,
    views: tuple[str, ...],
    replay: Path | None,
    speed: float | None,
    interval: float | None,
    count: int | None,
) -> None:
    """Live view of processes, forks, walks, promotions and slabs. INTERVAL COUNT are -d and -n."""
    columns.column(sort)
    batch = batch or not sys.stdout.isatty()
    source: Source
    if replay is None:
        opened = open_live(profile, tier, points=points_but("census_vmas"), meanwhile=_import_view)
        say_how(opened, verbose)
        source, notice, every = opened.source, notice_of(opened.why_not), 1.0
    else:
        from lazyobs.sources.replay import open_replay

        recorded = open_replay(replay)
        source, notice = recorded, ""
        every = seconds_between(recorded, speed, on_screen=output == "table" and not batch)
    from lazyobs.views import top as view

    options = view.TopOptions(
        interval=delay or interval or every,
        iterations=iterations or count,
        batch=batch,
        output=output,
        views=views,
        sort=sort,
        rows=rows,
        pids=pids,
        user=user,
        cgroup=cgroup,
        notice=notice,
    )
    if notice and (options.batch or output != "table"):
        print(notice, file=sys.stderr)
    try:
        view.run(source, options)
    finally:
        source.close()
