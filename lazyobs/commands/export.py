# SPDX-License-Identifier: MIT
"""``lazyobs export``"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

from lazyobs.commands import completions
from lazyobs.commands.options import (
    ALSO,
    BUDGET,
    COMPILE,
    FILE,
    PROFILE,
    TIER,
    VERBOSE,
    Whole,
    check_budget,
    exclude,
    say_how,
)
from lazyobs.commands.replay_options import check_replay, open_recording, place
from lazyobs.errors import NotPermitted, UsageError
from lazyobs.exporter import run
from lazyobs.exporter.orphans import slowly
from lazyobs.exporter.playback import Playback
from lazyobs.exporter.settings import Settings, load
from lazyobs.sources.open import open_live, points_but
from lazyobs.sources.orphans import OrphanFiles, Orphans
from lazyobs.sources.source import Source
from lazyobs.text import say
from lazyobs.unix import privileges


@click.command()
@click.option(
    "--listen", metavar="HOST:PORT", help="Address to listen on (127.0.0.1:9797); :PORT listens on every address."
)
@click.option("--web-config", metavar="FILE", help="TLS and passwords, in the format of Prometheus' exporters.")
@click.option("--textfile", metavar="FILE", help="Write pages to FILE, for node_exporter's textfile collector, and do not listen.")  # fmt: skip
@click.option("--textfile-seconds", type=float, metavar="SECONDS", help="Time between two of them (15).")
@click.option(
    "--user", metavar="NAME", help="User to become after the start (lazyobs if there is one, or else nobody)."
)
@click.option(
    "--config",
    type=FILE,
    metavar="FILE",
    help="Settings file (/etc/lazyobs/lazyobs.toml if it exists).",
)
@click.option("--replay", type=click.Path(path_type=Path), callback=place, metavar="DIR", shell_complete=completions.recordings, help="Serve a recording, or an example by name, at its own pace.")  # fmt: skip
@PROFILE
@TIER
@ALSO
@BUDGET
@COMPILE
@click.option("--cgroup-depth", type=Whole(), metavar="N", help="Path components of a cgroup to keep (2).")
@click.option("--cgroup-top", type=Whole(), metavar="N", help="Number of cgroups with series of their own (10).")
@click.option("--connections", type=Whole(), metavar="N", help="Maximum number of simultaneous connections (64).")
@click.option("--seconds", type=float, metavar="SECONDS", help="Time limit of a connection and of a scrape (10).")
@VERBOSE
def export(
    config: Path | None,
    replay: Path | None,
    verbose: bool,
    profile: Path | None,
    budget: float | None,
    **given: str | int | float | None,
) -> None:
    """Prometheus exporter: what the kernel counted, read when it is scraped."""
    check_replay()
    exclude(click.get_current_context(), "textfile", ("listen", "web_config"), "nothing listens")
    if given["web_config"] == "":
        raise UsageError('--web-config ""', "names no file", "omit it for plain HTTP without passwords")
    settings = load(
        config,
        {
            **given,
            "profile": None if profile is None else str(profile),
            "budget": None if budget is None else f"{budget:.6%}",
        },
    )
    check_budget(settings.budget_share, settings.tier or None)
    _refuse_user(settings.user)
    if replay:
        run.run(settings, lambda: Playback(open_recording(replay)), live=False, say=say)
    else:
        _export_live(settings, verbose)


def _refuse_user(user: str) -> None:
    """NotPermitted where this process cannot become the user it was told, UsageError where there is no such user."""
    if not user:
        return
    if os.geteuid() != 0:
        raise NotPermitted(f"--user {user}", "only root can become another user", "run it with sudo")
    privileges.account(user)
    if why := privileges.why_not_nobody(user):
        raise NotPermitted(f"--user {user}", why, "run it as root of the host, with CAP_SETUID")


def _export_live(settings: Settings, verbose: bool) -> None:
    found: list[tuple[Source, OrphanFiles]] = []

    def source() -> Source:
        opened = open_live(
            Path(settings.profile) if settings.profile else None,
            settings.tier or None,
            points_but("census_vmas"),
            rates=False,
            accept=lambda opened: found.append((opened.source, OrphanFiles())),
            climbs=True,
            user=settings.user,
            budget=settings.budget_share,
        )
        if opened.notice:
            say(opened.notice)
        say_how(opened, verbose)
        return opened.source

    def orphans() -> Callable[[], list[Orphans]]:
        read_from, files = found[-1]
        return slowly(read_from, files)

    run.run(settings, source, live=True, say=say, orphans=orphans)
