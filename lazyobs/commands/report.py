# SPDX-License-Identifier: MIT
"""``lazyobs report``"""

from __future__ import annotations

from dataclasses import dataclass

import click

from lazyobs.commands.options import collected
from lazyobs.commands.verdict_options import VERDICT_OPTIONS, VerdictOptions, check_verdict


@dataclass(frozen=True)
class ReportCommand:
    verdict: VerdictOptions
    directories: tuple[str, ...]


@click.command()
@VERDICT_OPTIONS
@click.argument("directories", nargs=-1, required=True, metavar="DIR...")
@collected(ReportCommand)
def report(asked: ReportCommand) -> None:
    """PASS, FAIL or INCONCLUSIVE on recordings of lazyobs record, and why: leaks, splats, what laziness saves and costs.

    Exits with 1 on FAIL. Each recording is judged by itself.
    """
    check_verdict(asked.verdict, "report")
    from lazyobs.commands import verdict

    click.get_current_context().exit(verdict.on_each(asked.verdict, asked.directories))
