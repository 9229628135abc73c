# SPDX-License-Identifier: MIT
"""``lazyobs report``"""

from __future__ import annotations

from dataclasses import dataclass

import click

from lazyobs.commands import completions
from lazyobs.commands.options import collected
from lazyobs.commands.replay_options import places
from lazyobs.commands.verdict_options import VERDICT_OPTIONS, VerdictOptions, check_verdict


@dataclass(frozen=True)
class ReportCommand:
    verdict: VerdictOptions
    directories: tuple[str, ...]


@click.command()
@VERDICT_OPTIONS
@click.argument(
    "directories", nargs=-1, required=True, metavar="DIR...", callback=places, shell_complete=completions.recordings
)
@collected(ReportCommand)
def report(asked: ReportCommand) -> None:
    """Judge recordings of lazyobs record: PASS, FAIL or INCONCLUSIVE by leaks, splats, savings and costs of laziness.

    Exits with 1 on FAIL. Each recording is judged separately.
    """
    check_verdict(asked.verdict, "report")
    from lazyobs.commands import verdict

    click.get_current_context().exit(verdict.on_each(asked.verdict, asked.directories))
