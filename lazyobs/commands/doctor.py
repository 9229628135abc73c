# SPDX-License-Identifier: MIT
"""``lazyobs doctor``"""

from __future__ import annotations

from pathlib import Path

import click

from lazyobs.commands.options import common
from lazyobs.views import doctor as view


@click.command()
@common
def doctor(output: str, profile: Path | None, tier: str | None, verbose: bool) -> None:
    """What this kernel offers: profile, tiers and why not better ones, slab merging."""
    view.show(profile, tier, output, verbose)
