# SPDX-License-Identifier: MIT
"""``lazyobs selftest``"""

from __future__ import annotations

from pathlib import Path

import click

from lazyobs.commands.options import Finite, common


@click.command()
@common
@click.option("--list", "listing", is_flag=True, help="Name the scenarios and what each needs, and run none.")
@click.option("--only", metavar="NAME,..", help="Only these; a name may hold * and ?.")
@click.option("--repeat", type=click.IntRange(min=1), default=1, show_default=True, help="Run each so many times.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Order and page contents; 0: as listed.")  # fmt: skip
@click.option("--timeout", type=Finite(min=1.0), default=45.0, show_default=True, help="Seconds a scenario may take.")  # fmt: skip
@click.option("--observe", is_flag=True, help="Run COMMAND and report which paths it took.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def selftest(
    context: click.Context,
    output: str,
    profile: Path | None,
    tier: str | None,
    verbose: bool,
    listing: bool,
    only: str | None,
    repeat: int,
    seed: int,
    timeout: float,
    observe: bool,
    command: tuple[str, ...],
) -> None:
    """Drives each path of anonymous reverse mapping and checks contents and events. KTAP on standard output.

    Exits with 0 when none failed, 1 when one did, 4 when everything was skipped, as kselftest does.
    With --observe it exits as COMMAND does.
    """
    if bool(command) != observe:
        raise click.UsageError("--observe takes a command: lazyobs selftest --observe -- COMMAND ARG...")
    if output == "csv":
        raise click.UsageError("selftest has no CSV: use -o table (KTAP) or -o json")
    # Imported here: none of it is of use to --help.
    from lazyobs.selftest import observe as observing
    from lazyobs.selftest import run

    if observe:
        context.exit(observing.run(command, profile, tier, output))
    selection = run.Selection(only, repeat, seed)
    if listing:
        run.list_scenarios(selection, output)
        return
    context.exit(run.run(selection, profile, tier, output, timeout, verbose))
