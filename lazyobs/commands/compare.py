# SPDX-License-Identifier: MIT
"""``lazyobs compare``"""

from __future__ import annotations

from dataclasses import dataclass

import click

from lazyobs import shipped
from lazyobs.commands import completions
from lazyobs.commands.options import collected
from lazyobs.commands.replay_options import places
from lazyobs.commands.verdict_options import VERDICT_OPTIONS, VerdictOptions, check_verdict
from lazyobs.errors import UsageError
from lazyobs.text import plural

_ARMS = ("--base", "--new")
_WAYS = "use compare BASE NEW, or --base DIR... --new DIR..."


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
    arms: tuple[str, ...]
    base: tuple[str, ...]
    new: tuple[str, ...]
    calibrate: bool


@click.command(cls=_Arms)
@VERDICT_OPTIONS
@click.argument("arms", nargs=-1, metavar="[BASE NEW]", shell_complete=completions.recordings)
@click.option("--base", multiple=True, metavar="DIR...", callback=places, shell_complete=completions.recordings, help="Recordings of the base kernel, one per boot.")  # fmt: skip
@click.option("--new", multiple=True, metavar="DIR...", callback=places, shell_complete=completions.recordings, help="Recordings of the new kernel, one per boot.")  # fmt: skip
@click.option("--calibrate", is_flag=True, help="Also compare random splits of the same boots, to measure how often the verdict is wrong.")  # fmt: skip
@collected(CompareCommand)
def compare(asked: CompareCommand) -> None:
    """Compare the boots of two kernels: PASS if the new kernel is not worse than the base by a margin, FAIL if it is.

    BASE and NEW are directories that hold the recordings of one kernel's boots, or examples by name:
    lazyobs compare stock-7.3 lazy-7.3. Exits with 1 on FAIL, so that it can gate a rollout.
    """
    base, new = _arms_of(asked)
    check_verdict(asked.verdict, "compare")
    from lazyobs.commands import verdict

    click.get_current_context().exit(verdict.on_two(asked.verdict, base, new, asked.calibrate))


def _arms_of(asked: CompareCommand) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The recordings of base and new. UsageError unless both are given, in one of the two ways."""
    if asked.arms and (asked.base or asked.new):
        raise UsageError(
            "compare", f"{asked.arms[0]} and {_ARMS[0] if asked.base else _ARMS[1]} both name an arm", _WAYS
        )
    if len(asked.arms) == 2:
        base, new = (tuple(shipped.recordings(arm)) for arm in asked.arms)
        return base, new
    if asked.arms:
        count = len(asked.arms)
        raise UsageError("compare", f"takes two directories, and {count} {plural(count, 'was', 'were')} given", _WAYS)
    for name, arm in zip(_ARMS, (asked.base, asked.new)):
        if not arm:
            raise UsageError(
                "compare", "needs two arms" if not (asked.base or asked.new) else f"needs {name}, too", _WAYS
            )
    return asked.base, asked.new
