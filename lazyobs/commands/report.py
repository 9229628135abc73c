# SPDX-License-Identifier: MIT
"""``lazyobs report``"""

from __future__ import annotations

from pathlib import Path

import click

from lazyobs.commands.judging import judging, need_libraries, output_of, read, show


@click.command()
@judging
@click.argument("directories", nargs=-1, required=True, metavar="DIR...")
@click.pass_context
def report(
    context: click.Context,
    output: str,
    json: bool,
    text: bool,
    html: Path | None,
    need_pass: bool,
    engine: str,
    thresholds: Path | None,
    directories: tuple[str, ...],
) -> None:
    """PASS, FAIL or INCONCLUSIVE on recordings of lazyobs record, and why: leaks, splats, what laziness saves and costs.

    Exits with 1 on FAIL. Each recording is judged by itself.
    """
    wanted = output_of(output, json, text, html, need_pass)
    need_libraries("report")
    from lazyobs.soak.report import report as judge
    from lazyobs.soak.thresholds import load

    rules = load(thresholds)
    recordings = read(directories, engine)
    context.exit(show(judge(recordings, rules), recordings, wanted))
