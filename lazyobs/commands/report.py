# SPDX-License-Identifier: MIT
"""``lazyobs report``"""

from __future__ import annotations

import click

from lazyobs.commands.verdict_options import Judging, judging


@click.command()
@judging
@click.argument("directories", nargs=-1, required=True, metavar="DIR...")
@click.pass_context
def report(context: click.Context, how: Judging, directories: tuple[str, ...]) -> None:
    """PASS, FAIL or INCONCLUSIVE on recordings of lazyobs record, and why: leaks, splats, what laziness saves and costs.

    Exits with 1 on FAIL. Each recording is judged by itself.
    """
    from lazyobs.soak.report import report as judge

    rules = how.rules()
    recordings = how.read(directories)
    context.exit(how.show(judge(recordings, rules), recordings))
