# SPDX-License-Identifier: MIT
"""``lazyobs doctor``"""

from __future__ import annotations

from dataclasses import dataclass

import click

from lazyobs.commands.options import COMMON, ProbeOptions, collected
from lazyobs.views import doctor as view


@dataclass(frozen=True)
class DoctorCommand:
    output: str
    probes: ProbeOptions


@click.command()
@COMMON
@collected(DoctorCommand)
def doctor(asked: DoctorCommand) -> None:
    """What this kernel offers: profile, tiers and why not better ones, slab merging."""
    view.show(asked.probes.profile, asked.probes.tier, asked.output, asked.probes.verbose)
