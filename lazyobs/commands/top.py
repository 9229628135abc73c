# SPDX-License-Identifier: MIT
"""``lazyobs top``: the options, and which form of output they select. Each form is a module in this directory."""

from __future__ import annotations

import os
import pwd
import sys
from dataclasses import dataclass, replace

import click

from lazyobs.commands import completions
from lazyobs.commands.options import (
    ARGS,
    BUDGET,
    COMMON,
    SECONDS,
    ProbeOptions,
    Whole,
    check_budget,
    check_pids,
    collected,
    exclude,
    interval_option,
    pids_option,
    sort_option,
)
from lazyobs.commands.replay_options import REPLAY_OPTIONS, ReplayOptions, check_replay
from lazyobs.errors import UsageError
from lazyobs.screen.terminal import is_plain_terminal
from lazyobs.sources import cgroups
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
    args: bool
    budget: float | None

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
@interval_option("delay")
@click.option("-n", "--iterations", "iterations", type=Whole(min=1), metavar="N", help="Number of samples to show; default: no end.")  # fmt: skip
@click.option("-b", "--batch", "batch", is_flag=True, help="Print samples one after another, without a screen.")
@pids_option()
@click.option("-u", "--user", "user", metavar="USER", shell_complete=completions.users, help="Only this user's processes; a name or a number.")  # fmt: skip
@click.option("-c", "--cgroup", "cgroup", metavar="CGROUP", shell_complete=completions.cgroups, help="Only processes in this cgroup and below: a path under /sys/fs/cgroup.")  # fmt: skip
@sort_option(None, f"Column to sort by ({SORT}).")
@click.option("-r", "--rows", "rows", type=Whole(min=1), metavar="N", help="Number of processes to show.")
@click.option("--view", "views", default="processes", callback=_views, show_default=True, metavar="VIEW,..", shell_complete=completions.list_of(columns.VIEWS), help=f"Views to show: {', '.join(columns.VIEWS)}.")  # fmt: skip
@click.option("--plain", is_flag=True, help="Use the plain screen, as on serial consoles.")
@click.option("--web", is_flag=False, flag_value="127.0.0.1:9798", metavar="[HOST:PORT]", help="Serve a read-only copy of the screen to browsers (127.0.0.1:9798).")  # fmt: skip
@BUDGET
@REPLAY_OPTIONS
@click.argument("interval", type=SECONDS, required=False)
@click.argument("count", type=Whole(min=1), required=False)
@ARGS
@collected(TopCommand)
def top(asked: TopCommand) -> None:
    """Live view of processes, forks, walks, promotions, slabs and lock waits. INTERVAL COUNT are -d and -n."""
    sort = None if asked.sort is None else columns.column(asked.sort).name
    live = asked.recorded.replay is None
    user = _user_of(asked.filter.user, live)
    _check(click.get_current_context())
    check_budget(asked.budget, asked.probes.tier)
    cgroup = None if asked.filter.cgroup is None else _cgroup_of(asked.filter.cgroup, live)
    if live:
        check_pids(asked.filter.pids)
    asked = replace(asked, sort=sort, filter=replace(asked.filter, user=user, cgroup=cgroup))
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
    exclude(context, "delay", ("interval",), "both are the seconds between samples")
    exclude(context, "iterations", ("count",), "both are the number of samples")
    exclude(context, "web", ("batch", "output", "plain", "iterations", "count"), "browsers get the screen")
    if context.params["output"] != "table":
        exclude(context, "output", ("views",), "JSON and CSV hold what all views show")


def _user_of(given: str | None, live: bool) -> str | None:
    """The user in the form of Process.user. A recording may have users that this machine does not know."""
    if given is None or (given and not live):
        return given
    try:
        if given.isdecimal() and int(given) < 1 << 32:
            return user_name(int(given))
        return pwd.getpwnam(given).pw_name
    except (KeyError, OverflowError):
        raise UsageError(f"-u {given!r}", "no such user", "name one that getent passwd lists") from None


def _cgroup_of(given: str, live: bool) -> str:
    """The cgroup as samples show it. A recording may have cgroups that this machine does not have."""
    shown = cgroups.as_shown(given)
    if not given or (live and not cgroups.exists(given)):
        why = "no such cgroup" if given else "is not a cgroup"
        next_step = "give its path below /sys/fs/cgroup, for example /system.slice"
        raise UsageError(f"-c {shown!r}", why, next_step)
    return shown


def _is_plain(asked: TopCommand) -> bool:
    """Whether to use tables: they were requested, or the full screen would not work, or would be too slow."""
    if asked.batch or asked.output != "table" or asked.plain or not sys.stdout.isatty() or not sys.stdin.isatty():
        return True
    return is_plain_terminal(os.ttyname(sys.stdout.fileno()), os.environ)
