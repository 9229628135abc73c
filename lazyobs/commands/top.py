# SPDX-License-Identifier: MIT
"""``lazyobs top``"""

from __future__ import annotations

import os
import pwd
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lazyobs.commands.options import SECONDS, common, exclude, notice_of, pids_of, points_but, say_how
from lazyobs.commands.replay_options import check_replay, replaying, seconds_between
from lazyobs.errors import NotSupported, UsageError
from lazyobs.sources.open import open_live
from lazyobs.sources.source import Source
from lazyobs.unix.users import user_name
from lazyobs.views import columns
from lazyobs.views.process_filter import ProcessFilter

if TYPE_CHECKING:
    from lazyobs.screen.feed import KernelFeed, ReplayFeed
    from lazyobs.screen.settings import Settings, SettingsWriter
    from lazyobs.views.top import TopOptions

_SORT = "savable_bytes"


def _views(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(value.split(","))
    for name in names:
        if name not in columns.VIEWS:
            raise click.BadParameter(f"{name!r} is no view: use one or more of {','.join(columns.VIEWS)}")
    return names


def _import_tables() -> None:
    """Tables take longer to import than the loader leaves idle: done while it compiles."""
    from lazyobs.views import top  # noqa: F401


def _import_screen() -> None:
    """The same; nobody may not be able to read where the modules lie."""
    from lazyobs.screen import run  # noqa: F401


@dataclass(frozen=True)
class _Asked:
    """The command line, but for what every form of it has in common."""

    profile: Path | None
    tier: str | None
    verbose: bool
    delay: float | None
    sort: str | None
    replay: Path | None
    speed: float | None


@click.command()
@common
@click.option("-d", "delay", type=SECONDS, help="Seconds between samples (1).")
@click.option("-n", "iterations", type=click.IntRange(min=1), help="Samples to show; no end otherwise.")
@click.option("-b", "batch", is_flag=True, help="Print samples one after the other, no screen.")
@click.option("-p", "pids", callback=pids_of, metavar="PID,..", help="Only these processes.")
@click.option("-u", "user", help="Only this user's processes.")
@click.option("-c", "cgroup", help="Only processes in this cgroup and below.")
@click.option("-s", "sort", metavar="COLUMN", help=f"Column to sort by ({_SORT}).")
@click.option("-r", "rows", type=click.IntRange(min=1), help="Processes to show.")
@click.option("--view", "views", default="processes", callback=_views, show_default=True, metavar="VIEW,..", help="processes, forks, rmap, promotions, slabs, probes.")  # fmt: skip
@click.option("--plain", is_flag=True, help="The plain screen, as on serial consoles.")
@click.option("--web", is_flag=False, flag_value="127.0.0.1:9798", metavar="[HOST:PORT]", help="Serve the screen to browsers (127.0.0.1:9798), to look at.")  # fmt: skip
@replaying
@click.argument("interval", type=SECONDS, required=False)
@click.argument("count", type=click.IntRange(min=1), required=False)
@click.pass_context
def top(
    context: click.Context,
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
    sort: str | None,
    rows: int | None,
    views: tuple[str, ...],
    plain: bool,
    web: str | None,
    replay: Path | None,
    speed: float | None,
    interval: float | None,
    count: int | None,
) -> None:
    """Live view of processes, forks, walks, promotions and slabs. INTERVAL COUNT are -d and -n."""
    sort = None if sort is None else columns.column(sort).name
    user = _user_of(user, live=replay is None)
    _check(context)
    asked = _Asked(profile, tier, verbose, delay or interval, sort, replay, speed)
    batch = batch or not sys.stdout.isatty()
    iterations = iterations or count
    chosen = ProcessFilter(pids, user, cgroup)
    if web is not None:
        _web(asked, web, chosen, views[0], rows)
    elif batch or output != "table" or plain or _is_plain():
        from lazyobs.views.top import TopOptions

        options = TopOptions(0.0, iterations, batch, output, views, sort or _SORT, rows, chosen)
        _tables(asked, options)
    else:
        _screen(asked, chosen, views[0], rows, iterations)


def _check(context: click.Context) -> None:
    """What would not be heard."""
    check_replay()
    exclude(context, "web", ("batch", "output", "plain", "iterations", "count"), "browsers get the screen")
    if context.params["output"] != "table":
        exclude(context, "output", ("views",), "JSON and CSV hold what all views show")
    if context.params["cgroup"] == "":
        raise UsageError("-c ''", "is no cgroup", "name one as /sys/fs/cgroup has it: /system.slice")


def _user_of(given: str | None, live: bool) -> str | None:
    """The user as processes name theirs. A recording may have users that are not known here."""
    if given is None or (given and not live):
        return given
    try:
        if given.isdecimal() and int(given) < 1 << 32:
            return user_name(int(given))
        return pwd.getpwnam(given).pw_name
    except (KeyError, OverflowError):
        raise UsageError(f"-u {given!r}", "no such user", "name one of getent passwd") from None


def _is_plain() -> bool:
    """Where the full screen would not work, or be too slow: views/plain_screen.py draws then."""
    from lazyobs.screen.terminal import is_plain_terminal

    return not sys.stdin.isatty() or is_plain_terminal(os.ttyname(sys.stdout.fileno()), os.environ)


def _tables(asked: _Asked, options: TopOptions) -> None:
    """Samples one after the other, or on the plain screen."""
    source: Source
    if asked.replay is None:
        opened = open_live(asked.profile, asked.tier, points=points_but("census_vmas"), meanwhile=_import_tables)
        say_how(opened, asked.verbose)
        source, options.notice = opened.source, notice_of(opened.why_not)
        options.interval = asked.delay or 1.0
    else:
        from lazyobs.recording.replay import open_replay

        source = recorded = open_replay(asked.replay)
        on_screen = options.output == "table" and not options.batch
        options.interval, options.live = asked.delay or seconds_between(recorded, asked.speed, on_screen), False
    from lazyobs.views import top as view

    if options.notice and (options.batch or options.output != "table"):
        print(options.notice, file=sys.stderr)
    try:
        view.run(source, options)
    finally:
        source.close()


def _screen(asked: _Asked, process_filter: ProcessFilter, view: str, rows: int | None, iterations: int | None) -> None:
    """The full screen."""
    settings_writer, settings = _remembered(asked)
    feed = _feed(asked, settings)
    from lazyobs.screen import run

    try:
        run.run(feed, settings, settings_writer, process_filter, view, rows, iterations)
    finally:
        feed.close()
        if settings_writer is not None:
            settings_writer.close()


def _web(asked: _Asked, address: str, process_filter: ProcessFilter, view: str, rows: int | None) -> None:
    """The full screen in browsers."""
    try:
        from lazyobs.screen.web import server, sessions  # noqa: F401
    except ImportError as error:
        raise NotSupported("top --web", f"{error.name} is not installed", "pip install 'lazyobs[web]'") from None
    from lazyobs.screen.web import run

    listening, host = run.listen(address)
    static = server.load_static()
    settings_writer, settings = _remembered(asked)
    if settings_writer is not None:
        settings_writer.close()
    feed = _feed(asked, settings)
    try:
        run.run(listening, host, feed, static, settings, process_filter, view, rows)
    finally:
        feed.close()


def _remembered(asked: _Asked) -> tuple[SettingsWriter | None, Settings]:
    """Of the person at the terminal; first of all, while this process has nothing that others must not have."""
    from lazyobs.screen.settings import Settings, SettingsWriter, person

    whose = person(os.environ, os.getuid())
    settings_writer, settings = None, Settings()
    try:
        settings_writer = SettingsWriter(whose) if whose is not None else None
        settings = Settings.from_toml(settings_writer.text or "") if settings_writer is not None else settings
    except OSError:
        pass  # not remembered
    except ValueError:  # a file that is no TOML is not written over
        if settings_writer is not None:
            settings_writer.close()
            settings_writer = None
    if asked.sort is not None:
        settings.sort, settings.reverse = asked.sort, False
    return settings_writer, settings


def _feed(asked: _Asked, settings: Settings) -> KernelFeed | ReplayFeed:
    if asked.replay is None:
        opened = open_live(asked.profile, asked.tier, meanwhile=_import_screen, events=True)
        say_how(opened, asked.verbose)
        from lazyobs.screen.feed import KernelFeed

        return KernelFeed(opened.source, asked.delay or settings.delay or 1.0, notice_of(opened.why_not))
    from lazyobs.recording.replay import open_replay
    from lazyobs.screen.feed import ReplayFeed

    recorded = open_replay(asked.replay)
    every = asked.delay or seconds_between(recorded, asked.speed, on_screen=True)
    return ReplayFeed(recorded, max(every, 0.05))
