# SPDX-License-Identifier: MIT
"""``lazyobs census``"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lazyobs.commands.options import common, notice_of, pids_of, say_how
from lazyobs.commands.replay_options import REPLAY, check_replay
from lazyobs.sources.open import open_live
from lazyobs.views import columns


def _import_view() -> None:
    """Tables take longer to import than the loader leaves idle: done while it compiles."""
    from lazyobs.views import census  # noqa: F401


@click.command()
@common
@click.option("-p", "pids", callback=pids_of, metavar="PID,..", help="Only these processes.")
@click.option("-s", "sort", default="savable_bytes", show_default=True, metavar="COLUMN", help="Column to sort by.")
@click.option("--vmas", is_flag=True, help="Every VMA of the processes of -p.")
@REPLAY
def census(
    output: str,
    profile: Path | None,
    tier: str | None,
    verbose: bool,
    pids: tuple[int, ...],
    sort: str,
    vmas: bool,
    replay: Path | None,
) -> None:
    """One snapshot of every process's VMAs by state, and the bytes saved and savable."""
    check_replay()
    sort = columns.column(sort).name
    if vmas and not pids:
        raise click.UsageError("--vmas needs -p PID")
    if vmas and replay is not None:
        raise click.UsageError("--vmas needs a live kernel: a recording has the counts of each process")
    if replay is not None:
        _show_last(replay, pids, sort, output)
        return
    points = ("census", "census_vmas") if vmas else ("census",)
    opened = open_live(profile, tier, points, meanwhile=_import_view, procfs_serves=not vmas)
    from lazyobs.views import census as view

    say_how(opened, verbose)
    try:
        notice = notice_of(opened.why_not)
        if notice:
            print(notice, file=sys.stderr)
        if vmas:
            view.show_vmas(opened.source, pids, output)
        else:
            view.show(opened.source, pids, sort, output)
    finally:
        opened.source.close()


def _show_last(replay: Path, pids: tuple[int, ...], sort: str, output: str) -> None:
    """The census as it was at the end of the recording."""
    from lazyobs.recording.replay import open_replay
    from lazyobs.views import census as view

    source = open_replay(replay, last=True)
    try:
        view.show(source, pids, sort, output)
    finally:
        source.close()
