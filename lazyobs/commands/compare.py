# SPDX-License-Identifier: MIT
"""``lazyobs compare``"""

from __future__ import annotations

import click

from lazyobs.commands.verdict_options import Judging, judging

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


@click.command(cls=_Arms)
@judging
@click.option("--base", multiple=True, required=True, metavar="DIR...", help="Recordings of the kernel to compare with, a boot each.")  # fmt: skip
@click.option("--new", multiple=True, required=True, metavar="DIR...", help="Recordings of the kernel in question.")
@click.option("--calibrate", is_flag=True, help="Also judge the boots dealt anew, without a difference: how often is it wrong?")  # fmt: skip
@click.pass_context
def compare(context: click.Context, how: Judging, base: tuple[str, ...], new: tuple[str, ...], calibrate: bool) -> None:
    """PASS where a kernel is not worse than a base by a margin, FAIL where it is, by boots of both.

    Exits with 1 on FAIL: it can gate a rollout.
    """
    from lazyobs.soak.compare import compare as judge

    rules = how.rules()
    recordings = how.read([*base, *new])
    first, second = recordings[: len(base)], recordings[len(base) :]
    context.exit(how.show(judge(first, second, rules, calibrate), recordings))
