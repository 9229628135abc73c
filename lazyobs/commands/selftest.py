# SPDX-License-Identifier: MIT
"""``lazyobs selftest``"""

from __future__ import annotations

from dataclasses import dataclass

import click

from lazyobs.commands.options import COMMON, Finite, ProbeOptions, collected


@dataclass(frozen=True)
class SelftestCommand:
    """``command``: what --observe runs, () without it."""

    output: str
    probes: ProbeOptions
    listing: bool
    only: str | None
    repeat: int
    seed: int
    timeout: float
    observe: bool
    command: tuple[str, ...]


@click.command()
@COMMON
@click.option("--list", "listing", is_flag=True, help="Name the scenarios and what each needs, and run none.")
@click.option("--only", metavar="NAME,..", help="Only these; a name may hold * and ?.")
@click.option("--repeat", type=click.IntRange(min=1), default=1, show_default=True, help="Run each so many times.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Order and page contents; 0: as listed.")  # fmt: skip
@click.option("--timeout", type=Finite(min=1.0), default=45.0, show_default=True, help="Seconds a scenario may take.")  # fmt: skip
@click.option("--observe", is_flag=True, help="Run COMMAND and report which paths it took.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@collected(SelftestCommand)
def selftest(asked: SelftestCommand) -> None:
    """Drives each path of anonymous reverse mapping and checks contents and events. KTAP on standard output.

    Exits with 0 when none failed, 1 when one did, 4 when everything was skipped, as kselftest does.
    With --observe it exits as COMMAND does.
    """
    if bool(asked.command) != asked.observe:
        raise click.UsageError("--observe takes a command: lazyobs selftest --observe -- COMMAND ARG...")
    if asked.output == "csv":
        raise click.UsageError("selftest has no CSV: use -o table (KTAP) or -o json")
    click.get_current_context().exit(_run(asked))


def _run(asked: SelftestCommand) -> int:
    """The exit code."""
    from lazyobs.selftest import observe, run

    probes = asked.probes
    if asked.observe:
        return observe.run(asked.command, probes.profile, probes.tier, asked.output)
    selection = run.Selection(asked.only, asked.repeat, asked.seed)
    if asked.listing:
        run.list_scenarios(selection, asked.output)
        return 0
    return run.run(selection, probes.profile, probes.tier, asked.output, asked.timeout, probes.verbose)
