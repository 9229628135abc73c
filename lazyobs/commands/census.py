# SPDX-License-Identifier: MIT
"""``lazyobs census``"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from lazyobs.commands.options import (
    ARGS,
    COMMON,
    ProbeOptions,
    check_pids,
    collected,
    pids_option,
    say_how,
    sort_option,
)
from lazyobs.commands.replay_options import REPLAY, check_replay, open_recording
from lazyobs.kernel.mappings import Mappings
from lazyobs.model import MOST_INTERVAL
from lazyobs.preload import preload
from lazyobs.sources.open import open_live
from lazyobs.sources.sight import refuse_pids
from lazyobs.sources.source import Source
from lazyobs.text import say
from lazyobs.views import columns


@dataclass(frozen=True)
class CensusCommand:
    output: str
    probes: ProbeOptions
    pids: tuple[int, ...]
    sort: str
    vmas: bool
    orphans: bool
    would: bool
    watch: float
    replay: Path | None
    args: bool


@click.command()
@COMMON
@pids_option()
@sort_option("savable_bytes", "Column to sort by.")
@click.option("--vmas", is_flag=True, help="Every VMA of the processes of -p.")
@click.option("--orphans", is_flag=True, help="Live anon_vmas and chains that no VMA holds, instead of processes.")
@click.option(
    "--would",
    is_flag=True,
    help="Who ever forks, and what each design would hold, by program; by process with -p.",
)
@click.option(
    "--watch",
    type=click.FloatRange(0, MOST_INTERVAL),
    default=0.0,
    metavar="SECS",
    help="With --would: count forks and ends for so long first.",
)
@REPLAY
@ARGS
@collected(CensusCommand)
def census(asked: CensusCommand) -> None:
    """One snapshot of every process's VMAs by state, and the bytes saved and savable."""
    check_replay()
    sort = columns.column(asked.sort).name
    if asked.orphans:
        _show_orphans(asked)
        return
    if asked.watch and (not asked.would or asked.replay is not None):
        raise click.UsageError("--watch is for --would on a live kernel")
    if asked.would:
        _show_would(asked)
        return
    if asked.vmas and not asked.pids:
        raise click.UsageError("--vmas needs -p PID")
    if asked.vmas and asked.replay is not None:
        raise click.UsageError("--vmas needs a live kernel: a recording has the counts of each process")
    mappings: list[Mappings] = []
    source = _live(asked, mappings) if asked.replay is None else open_recording(asked.replay, last=True)
    from lazyobs.views import census as view

    try:
        if asked.vmas:
            view.show_vmas(source, asked.pids, asked.output, mappings[0])
        else:
            view.show(source, asked.pids, sort, asked.output)
    finally:
        source.close()
        for one in mappings:
            one.close()


def _show_would(asked: CensusCommand) -> None:
    if asked.vmas:
        raise click.UsageError("--would counts processes: it does not go with --vmas")
    from lazyobs.views import would as view

    if asked.replay is not None:
        source: Source = open_recording(asked.replay, last=True)
    else:
        check_pids(asked.pids)
        opened = open_live(asked.probes.profile, asked.probes.tier, ("census", "process", "slab"), procfs_serves=False)
        say_how(opened, asked.probes.verbose)
        source = opened.source
    try:
        view.show(source, asked.watch, asked.pids, asked.output)
    finally:
        source.close()


def _show_orphans(asked: CensusCommand) -> None:
    if asked.pids or asked.vmas:
        raise click.UsageError("--orphans is about all processes: it goes with neither -p nor --vmas")
    if asked.replay is not None:
        raise click.UsageError("--orphans needs a live kernel: lazyobs report judges those of a recording")
    from lazyobs.sources.orphans import OrphanFiles
    from lazyobs.views import orphans as view

    files: list[OrphanFiles] = []
    opened = open_live(
        asked.probes.profile,
        asked.probes.tier,
        ("census", "slab"),
        meanwhile=preload("lazyobs.views.orphans"),
        accept=lambda _opened: files.append(OrphanFiles()),
        procfs_serves=False,
    )
    say_how(opened, asked.probes.verbose)
    try:
        view.show(opened.source, files[0], asked.output)
    finally:
        opened.source.close()
        files[0].close()


def _live(asked: CensusCommand, mappings: list[Mappings]) -> Source:
    """``mappings`` gets those of -p, opened as root."""
    refuse_pids(asked.pids, asked.probes.tier)
    check_pids(asked.pids)
    opened = open_live(
        asked.probes.profile,
        asked.probes.tier,
        ("census", "census_vmas") if asked.vmas else ("census",),
        meanwhile=preload("lazyobs.views.census"),
        accept=lambda _opened: mappings.append(Mappings(asked.pids if asked.vmas else ())),
        procfs_serves=not asked.vmas,
        args=asked.args,
    )
    say_how(opened, asked.probes.verbose)
    if opened.notice:
        say(opened.notice)
    return opened.source
