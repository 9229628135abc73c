# SPDX-License-Identifier: MIT
"""``lazyobs export``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lazyobs.commands.options import notice_of, points_but, say_how
from lazyobs.commands.replay_options import check_replay
from lazyobs.model import TIERS

if TYPE_CHECKING:
    from lazyobs.exporter.settings import Settings
    from lazyobs.sources.source import Source


@click.command()
@click.option("--listen", metavar="HOST:PORT", help="Address to serve at (127.0.0.1:9797).")
@click.option("--web-config", metavar="FILE", help="TLS and passwords, in the form of Prometheus' exporters.")
@click.option("--config", type=click.Path(path_type=Path), help="Settings (/etc/lazyobs/lazyobs.toml where it exists).")
@click.option("--replay", type=click.Path(path_type=Path), metavar="DIR", help="Serve a recording, at its pace.")
@click.option("--profile", metavar="FILE", help="Profile file of a kernel design; detected otherwise.")
@click.option("--tier", type=click.Choice(TIERS), help="Best tier to use.")
@click.option("--cgroup-depth", type=int, help="Path components kept of a cgroup (2).")
@click.option("--cgroup-top", type=int, help="Cgroups with a row of their own (10).")
@click.option("--connections", type=int, help="Connections at a time (64).")
@click.option("--seconds", type=float, help="That a connection may take (10).")
@click.option("-v", "verbose", is_flag=True, help="Say more on standard error.")
def export(config: Path | None, replay: Path | None, verbose: bool, **given: str | int | float | None) -> None:
    """Prometheus exporter: what the kernel counted, read when it is scraped."""
    from lazyobs.exporter import run
    from lazyobs.exporter.settings import load

    check_replay()
    chosen = load(config, given)

    def source() -> Source:
        return _replayed(replay) if replay else _live(chosen, verbose)

    run.run(chosen, source, live=replay is None, say=run.to_stderr)


def _live(chosen: Settings, verbose: bool) -> Source:
    from lazyobs.exporter import run
    from lazyobs.sources.open import open_live

    opened = open_live(
        Path(chosen.profile) if chosen.profile else None,
        chosen.tier or None,
        points=points_but("census_vmas"),
        rates=False,
    )
    if opened.why_not:
        run.to_stderr(notice_of(opened.why_not))
    say_how(opened, verbose)
    return opened.source


def _replayed(directory: Path) -> Source:
    from lazyobs.exporter.playback import Playback
    from lazyobs.recording.replay import open_replay

    return Playback(open_replay(directory))
