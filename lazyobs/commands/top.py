# SPDX-License-Identifier: MIT
"""``lazyobs top``: the options, and which form of output they select. Each form is a module in this directory."""

from __future__ import annotations

import os
import pwd
import sys
from dataclasses import dataclass, replace

import click

from lazyobs.commands.options import COMMON, SECONDS, ProbeOptions, Whole, collected, exclude, pids_option
from lazyobs.commands.replay_options import REPLAY_OPTIONS, ReplayOptions, check_replay
from lazyobs.errors import UsageError
from lazyobs.screen.terminal import is_plain_terminal
from lazyobs.unix.users import user_name
from lazyobs.views import columns
from lazyobs.views.process_filter import ProcessFilter

SORT = "savable_bytes"


@dataclass(frozen=True)
class TopCommand:
    """``delay`` and ``iterations`` are options; ``interval`` and ``count`` are the same values as arguments."""

    output: str
    probes: ProbeOptions
    recorded: ReplayOptions
    filter: ProcessFilter
    views: tuple[str, ...]
    sort: str | None
    rows: int | None
    delay: float | None
    iterations: int | None
    interval: float | None
    count: int | None
    batch: bool
    plain: bool
    web: str | None

    @property
    def seconds(self) -> float | None:
        """Seconds between samples; None if not given."""
        return self.delay or self.interval

    @property
    def samples(self) -> int | None:
        """Number of samples to show; None for no end."""
        return self.iterations or self.count


def _views(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(value.split(","))
    for name in names:
        if name not in columns.VIEWS:
            raise click.BadParameter(f"{name!r} is not a view: use one or more of {','.join(columns.VIEWS)}")
    return names


@click.command()
@COMMON
@click.option("-d", "delay", type=SECONDS, help="Seconds between samples (1).")
@click.option("-n", "iterations", type=Whole(min=1), help="Number of samples to show; default: no end.")
@click.option("-b", "batch", is_flag=True, help="Print samples one after another, without a screen.")
@pids_option()
@click.option("-u", "user", help="Only this user's processes.")
@click.option("-c", "cgroup", help="Only processes in this cgroup and below.")
@click.option("-s", "sort", metavar="COLUMN", help=f"Column to sort by ({SORT}).")
@click.option("-r", "rows", type=Whole(min=1), help="Number of processes to show.")
@click.option("--view", "views", default="processes", callback=_views, show_default=True, metavar="VIEW,..", help="Views to show: processes, forks, rmap, promotions, slabs, probes.")  # fmt: skip
@click.option("--plain", is_flag=True, help="Use the plain screen, as on serial consoles.")
@click.option("--web", is_flag=False, flag_value="127.0.0.1:9798", metavar="[HOST:PORT]", help="Serve a read-only copy of the screen to browsers (127.0.0.1:9798).")  # fmt: skip
@REPLAY_OPTIONS
@click.argument("interval", type=SECONDS, required=False)
@click.argument("count", type=Whole(min=1), required=False)
@collected(TopCommand)
def top(asked: TopCommand) -> None:
    """Live view of processes, forks, walks, promotions and slabs. INTERVAL COUNT are -d and -n."""
    sort = None if asked.sort is None else columns.column(asked.sort).name
    user = _user_of(asked.filter.user, live=asked.recorded.replay is None)
    _check(click.get_current_context())
    asked = replace(asked, sort=sort, filter=replace(asked.filter, user=user))
    if asked.web is not None:
        from lazyobs.commands import top_web

        top_web.run(asked, asked.web)
    elif _is_plain(asked):
        from lazyobs.commands import top_tables

        top_tables.run(asked)
    else:
        from lazyobs.commands import top_screen

        top_screen.run(asked)


def _check(context: click.Context) -> None:
    """UsageError for options that would have no effect."""
    check_replay()
    exclude(context, "web", ("batch", "output", "plain", "iterations", "count"), "browsers get the screen")
    if context.params["output"] != "table":
        exclude(context, "output", ("views",), "JSON and CSV hold what all views show")
    if context.params["cgroup"] == "":
        raise UsageError("-c ''", "is not a cgroup", "give its path below /sys/fs/cgroup, for example /system.slice")


def _user_of(given: str | None, live: bool) -> str | None:
    """The user in the form of Process.user. A recording may have users that this machine does not know."""
    if given is None or (given and not live):
        return given
    try:
        if given.isdecimal() and int(given) < 1 << 32:
            return user_name(int(given))
        return pwd.getpwnam(given).pw_name
    except (KeyError, OverflowError):
        raise UsageError(f"-u {given!r}", "no such user", "give a user of getent passwd") from None


def _is_plain(asked: TopCommand) -> bool:
    """Whether to use tables: they were requested, or the full screen would not work, or would be too slow."""
    if asked.batch or asked.output != "table" or asked.plain or not sys.stdout.isatty() or not sys.stdin.isatty():
        return True
    return is_plain_terminal(os.ttyname(sys.stdout.fileno()), os.environ)
