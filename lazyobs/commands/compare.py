# SPDX-License-Identifier: MIT
"""``lazyobs compare``"""

from __future__ import annotations

from dataclasses import dataclass

import click

from lazyobs.commands.options import collected
from lazyobs.commands.verdict_options import VERDICT_OPTIONS, VerdictOptions, check_verdict

_ARMS = ("--base", "--new")


class _Arms(click.Command):
    """--base and --new take all directories up to the next option, as a shell expands boot-*."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        spread: list[str] = []
        arm = ""
        for place, word in enumerate(args):
            if word == "--":
                return super().parse_args(ctx, spread + args[place:])
            if word in _ARMS:
                arm = word
                follows = args[place + 1] if place + 1 < len(args) else ""
                if not follows or follows.startswith("-"):
                    raise click.BadOptionUsage(word, f"{word} needs a directory", ctx)
            elif word.startswith("-"):
                arm = ""
                spread.append(word)
            else:
                spread += [arm, word] if arm else [word]
        return super().parse_args(ctx, spread)


@dataclass(frozen=True)
class CompareCommand:
    verdict: VerdictOptions
    base: tuple[str, ...]
    new: tuple[str, ...]
    calibrate: bool


@click.command(cls=_Arms)
@VERDICT_OPTIONS
@click.option("--base", multiple=True, required=True, metavar="DIR...", help="Recordings of the kernel to compare with, a boot each.")  # fmt: skip
@click.option("--new", multiple=True, required=True, metavar="DIR...", help="Recordings of the kernel in question.")
@click.option("--calibrate", is_flag=True, help="Also judge the boots dealt anew, without a difference: how often is it wrong?")  # fmt: skip
@collected(CompareCommand)
def compare(asked: CompareCommand) -> None:
    """PASS where a kernel is not worse than a base by a margin, FAIL where it is, by boots of both.

    Exits with 1 on FAIL: it can gate a rollout.
    """
    check_verdict(asked.verdict, "compare")
    from lazyobs.commands import verdict

    click.get_current_context().exit(verdict.on_two(asked.verdict, asked.base, asked.new, asked.calibrate))
