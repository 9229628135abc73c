# SPDX-License-Identifier: MIT
"""``lazyobs compare``"""

from __future__ import annotations

from dataclasses import dataclass

import click

from lazyobs.commands import completions
from lazyobs.commands.options import collected
from lazyobs.commands.replay_options import places
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
@click.option("--base", multiple=True, required=True, metavar="DIR...", callback=places, shell_complete=completions.recordings, help="Recordings of the base kernel, one per boot.")  # fmt: skip
@click.option("--new", multiple=True, required=True, metavar="DIR...", callback=places, shell_complete=completions.recordings, help="Recordings of the new kernel, one per boot.")  # fmt: skip
@click.option("--calibrate", is_flag=True, help="Also compare random splits of the same boots, to measure how often the verdict is wrong.")  # fmt: skip
@collected(CompareCommand)
def compare(asked: CompareCommand) -> None:
    """Compare the boots of two kernels: PASS if the new kernel is not worse than the base by a margin, FAIL if it is.

    Exits with 1 on FAIL, so that it can gate a rollout.
    """
    check_verdict(asked.verdict, "compare")
    from lazyobs.commands import verdict

    click.get_current_context().exit(verdict.on_two(asked.verdict, asked.base, asked.new, asked.calibrate))
