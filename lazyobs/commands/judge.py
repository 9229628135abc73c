# SPDX-License-Identifier: MIT
"""``lazyobs judge``"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from lazyobs.commands.libraries import need_lab, need_libraries
from lazyobs.commands.options import FILE, collected, exclude, span
from lazyobs.judge.asked import FLAVOURS, UNTIL, Asked

_OPTION = re.compile(r"(CONFIG_[A-Z0-9_]{1,80})=(?:[ynm]|-?[0-9]{1,19}|0x[0-9a-fA-F]{1,16}|\"[A-Za-z0-9_ ./-]{0,80}\")")
_BEGINS = (
    "series",
    "base",
    "arms",
    "cover",
    "output",
    "cache",
    "budget",
    "flavours",
    "options",
    "base_options",
    "until",
    "each_patch",
    "workload",
)


@dataclass(frozen=True)
class JudgeCommand(Asked):
    again: Path | None
    resume: Path | None
    repeat: str | None
    b4: bool


def _arms(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    for value in values:
        if not all(value.partition("=")):
            raise click.BadParameter(f"{value!r} is no NAME=SERIES")
    return tuple((name, source) for name, _, source in (value.partition("=") for value in values))


def _options(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    names: set[str] = set()
    for value in values:
        found = _OPTION.fullmatch(value)
        if not found:
            raise click.BadParameter(f"{value[:80]!r} is no option of a kernel's configuration: use CONFIG_NAME=y, or n, m, a number or a text in quotes")  # fmt: skip
        if found[1] in names:
            raise click.BadParameter(f"{found[1]} is there twice: leave one of them out")
        names.add(found[1])
    return values


@click.command()
@click.argument("series", nargs=-1, metavar="SERIES...")
@click.option("--base", metavar="PACKAGE|TREE|TAG", help="The source that the series is for: linux-source-7.3, a folder, a tag of the git repository here; default: its base-commit, or the first at hand that it fits.")  # fmt: skip
@click.option("--arm", "arms", multiple=True, callback=_arms, metavar="NAME=SERIES|TREE", help="One more arm: another series on the same base, or another source.")  # fmt: skip
@click.option(
    "--cover", type=FILE, metavar="FILE", help="The cover letter, where it is not among the mails of the series."
)
@click.option("-o", "--output", type=FILE, metavar="DIR", help="Folder for all that is found; default: judge-DATE.")
@click.option("--cache", type=FILE, metavar="DIR", help="Folder for sources, objects and images, which take some GB; default: /var/cache/lazyobs-judge of root, else ~/.cache/lazyobs/judge.")  # fmt: skip
@click.option("--budget", callback=span, default="2h", show_default=True, metavar="TIME", help="Begin no boot after so much time in boots: 90m, 2h.")  # fmt: skip
@click.option("--flavour", "flavours", type=click.Choice(list(FLAVOURS)), multiple=True, default=tuple(FLAVOURS), show_default=True, help="Which kernels to build; debug has KASAN and lockdep.")  # fmt: skip
@click.option("--config", "options", multiple=True, callback=_options, metavar="CONFIG_NAME=y", help="An option of the patched kernel's configuration; those that the series adds are on.")  # fmt: skip
@click.option("--base-config", "base_options", multiple=True, callback=_options, metavar="CONFIG_NAME=y", help="An option of every kernel's configuration, the base's, too: for a patch to something that is off otherwise.")  # fmt: skip
@click.option("--until", type=click.Choice(UNTIL), default="measure", show_default=True, help="The last thing to do: see whether it applies, build and compare the images, test, or measure.")  # fmt: skip
@click.option("--each-patch", is_flag=True, help="Also build after each patch of the series.")
@click.option("--workload", type=FILE, metavar="SCRIPT", help="A program of your own that every guest runs, too: it has to end with 0, and what it takes is compared.")  # fmt: skip
@click.option("--resume", type=FILE, metavar="DIR", help="Go on with the judgement in this folder.")
@click.option("--repeat", metavar="ARM-FLAVOUR-STEP", help="With --resume: boot that kernel again and run that step alone.")  # fmt: skip
@click.option(
    "--again", type=FILE, metavar="DIR", help="Say anew what the data in this folder say; nothing is built or booted."
)
@click.option(
    "--b4", is_flag=True, help="As a check command of b4: the cover letter on standard input, JSON on standard output."
)
@collected(JudgeCommand)
def judge(asked: JudgeCommand) -> None:
    """From a kernel patch series to a verdict: build it and its base, test and measure both in QEMU, and say what was found.

    SERIES is an mbox, patches, a folder of them, a message-id (fetched by b4), or a folder with a kernel's source or with
    a kernel that is built. It is built by an ordinary user, and runs only in guests without a network.

    Exits with 1 if the series is worse than its base: FAIL.
    """
    context = click.get_current_context()
    for one, other in (("again", "resume"), ("resume", "again")):
        exclude(context, one, (*_BEGINS, other), "it goes on with what is in the folder")
    if asked.repeat and asked.resume is None:
        raise click.UsageError("--repeat goes with --resume DIR")
    need_lab("judge")
    need_libraries("judge", ("scipy",))
    context.exit(_run(asked, context))


def _run(asked: JudgeCommand, context: click.Context) -> int:
    """The exit status."""
    from lazyobs.judge import resume, run

    if asked.again is not None:
        return run.again(asked.again, asked.b4)
    if asked.resume is not None:
        words, instead = resume.resumed(asked.resume)
        values: dict[str, Any] = dict(judge.make_context("judge", words, parent=context.parent).params)
        if asked.repeat:
            return run.repeat(asked.resume, asked.repeat, values["cache"])
        kept = instead.pop("kept")
        instead["arms"] = tuple((name, kept.get(name, source)) for name, source in values["arms"])
        return _begin(
            JudgeCommand(**{**values, **instead, "resume": None, "again": None, "b4": asked.b4}), goes_on=True
        )
    return _begin(asked)


def _begin(asked: JudgeCommand, goes_on: bool = False) -> int:
    from lazyobs.judge import b4, run

    series = asked.series
    if asked.b4 and not series:
        series = (b4.message_id(sys.stdin.buffer.read(1 << 20)),)
    if not series and not asked.arms:
        raise click.UsageError("name a series: an mbox, a folder of patches, or patches")
    return run.run(replace(asked, series=series), asked.b4, goes_on)
