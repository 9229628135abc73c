# SPDX-License-Identifier: MIT
"""``lazyobs compare``"""

from __future__ import annotations

from pathlib import Path

import click

from lazyobs.commands.judging import judging, need_libraries, output_of, read, show

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
def compare(
    context: click.Context,
    output: str,
    json: bool,
    text: bool,
    html: Path | None,
    need_pass: bool,
    engine: str,
    thresholds: Path | None,
    base: tuple[str, ...],
    new: tuple[str, ...],
    calibrate: bool,
) -> None:
    """PASS where a kernel is not worse than a base by a margin, FAIL where it is, by boots of both.

    Exits with 1 on FAIL: it can gate a rollout.
    """
    wanted = output_of(output, json, text, html, need_pass)
    need_libraries("compare")
    from lazyobs.soak.compare import compare as judge
    from lazyobs.soak.thresholds import load

    rules = load(thresholds)
    recordings = read([*base, *new], engine)
    first, second = recordings[: len(base)], recordings[len(base) :]
    context.exit(show(judge(first, second, rules, calibrate), recordings, wanted))
