# SPDX-License-Identifier: MIT
"""``lazyobs images``"""

from __future__ import annotations

from dataclasses import dataclass

import click

from lazyobs.commands.options import OUTPUT, collected
from lazyobs.errors import EXIT_BAD
from lazyobs.views import images as view


@dataclass(frozen=True)
class ImagesCommand:
    output: str
    programs: bool


@click.command()
@OUTPUT
@click.option("--programs", is_flag=True, help="Each program with its instructions.")
@collected(ImagesCommand)
def images(asked: ImagesCommand) -> None:
    """The compiled probes that come along: of which sources, by which BCC, and whether they can be loaded. Exits with
    1 where the probes here have none, so that a start compiles them."""
    if not view.show(asked.output, asked.programs):
        click.get_current_context().exit(EXIT_BAD)
