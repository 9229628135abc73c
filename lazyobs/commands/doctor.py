# SPDX-License-Identifier: MIT
"""``lazyobs doctor``"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from lazyobs.commands.options import COMMON, FILE, ProbeOptions, collected
from lazyobs.text import say
from lazyobs.views import doctor as view


@dataclass(frozen=True)
class DoctorCommand:
    against: Path | None
    symbols: Path | None
    patch: tuple[Path, ...]
    output: str
    probes: ProbeOptions


@click.command()
@COMMON
@click.option("--against", type=FILE, metavar="FILE", help="What would work on another kernel: a vmlinux, or a copy of its /sys/kernel/btf/vmlinux. Nothing is booted or attached.")  # fmt: skip
@click.option("--symbols", type=FILE, metavar="FILE", help="With --against: a copy of its /proc/kallsyms, or its System.map.")  # fmt: skip
@click.option("--patch", type=FILE, multiple=True, metavar="FILE", help="With --against: which names that the probes use a patch to it changes; an mbox, a folder, or several times.")  # fmt: skip
@collected(DoctorCommand)
def doctor(asked: DoctorCommand) -> None:
    """What this kernel offers: profile, tiers and why not better ones, slab merging.

    With --against it exits with 1 if a probe point would not attach there.
    """
    if asked.against is None:
        if asked.symbols or asked.patch:
            raise click.UsageError("--symbols and --patch go with --against FILE")
        view.show(asked.probes.profile, asked.probes.tier, asked.output, asked.probes.verbose)
        return
    from lazyobs.judge import series
    from lazyobs.views import against

    options = asked.probes
    patch = None
    if asked.patch:
        found = series.read(asked.patch, whole=False)
        for note in found.notes:
            say(note)
        patch = found.hunks()
    status = against.show(asked.against, asked.symbols, patch, options.profile, options.tier, asked.output)
    click.get_current_context().exit(status)
