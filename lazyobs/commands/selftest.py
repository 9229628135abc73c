# SPDX-License-Identifier: MIT
"""``lazyobs selftest``"""

from __future__ import annotations

from dataclasses import dataclass

import click

from lazyobs.commands.options import (
    ALSO,
    COMPILE,
    PROFILE,
    TIER,
    VERBOSE,
    Finite,
    ProbeOptions,
    Whole,
    collected,
    output_option,
)


@dataclass(frozen=True)
class SelftestCommand:
    """``command``: what --observe runs, or the program of --kernel; () for neither."""

    output: str
    probes: ProbeOptions
    listing: bool
    only: str | None
    repeat: int
    seed: int
    timeout: float
    observe: bool
    kernel: bool
    command: tuple[str, ...]


@click.command()
@output_option(("table", "json"), "Output format; table is KTAP.")
@PROFILE
@TIER
@ALSO
@COMPILE
@VERBOSE
@click.option("--list", "listing", is_flag=True, help="List the scenarios and their requirements, and run none.")
@click.option("--only", metavar="NAME,..", help="Run only these scenarios; * and ? are wildcards.")
@click.option(
    "--repeat",
    type=Whole(min=1),
    metavar="N",
    default=1,
    show_default=True,
    help="How many times to run each scenario.",
)
@click.option("--seed", type=Whole(min=0), metavar="N", default=0, show_default=True, help="Seed of the order and of page contents; 0 keeps the listed order.")  # fmt: skip
@click.option("--timeout", type=Finite(min=1), metavar="SECONDS", default=45, show_default=True, help="Time limit of a scenario in seconds.")  # fmt: skip
@click.option("--observe", is_flag=True, help="Run COMMAND and report the paths that the whole system took meanwhile.")
@click.option("--kernel", is_flag=True, help="Run the kernel's own selftest anon_rmap, or the program that COMMAND names, and report the paths that each test took.")  # fmt: skip
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@collected(SelftestCommand)
def selftest(asked: SelftestCommand) -> None:
    """Exercise each path of anonymous reverse mapping and check contents and events. KTAP on standard output.

    Exits with 0 if no scenario failed, 1 if any failed, 4 if all were skipped, as kselftest does.
    With --observe it exits with the status of COMMAND.
    """
    if asked.kernel and (asked.observe or len(asked.command) > 1):
        raise click.UsageError(
            "--kernel takes one program at most, and no --observe: lazyobs selftest --kernel PROGRAM"
        )
    if not asked.kernel and bool(asked.command) != asked.observe:
        raise click.UsageError("--observe needs a command: lazyobs selftest --observe -- COMMAND ARG...")
    click.get_current_context().exit(_run(asked))


def _run(asked: SelftestCommand) -> int:
    """The exit code."""
    from lazyobs.selftest import kernel_run, observe, run

    probes = asked.probes
    if asked.kernel:
        return kernel_run.run(next(iter(asked.command), None), probes.profile, probes.tier, asked.output)
    if asked.observe:
        return observe.run(asked.command, probes.profile, probes.tier, asked.output)
    selection = run.Selection(asked.only, asked.repeat, asked.seed)
    if asked.listing:
        run.list_scenarios(selection, asked.output)
        return 0
    return run.run(selection, probes.profile, probes.tier, asked.output, asked.timeout, probes.verbose)
