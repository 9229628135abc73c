# SPDX-License-Identifier: MIT
"""``lazyobs version``"""

from __future__ import annotations

import click

from lazyobs import __version__


@click.command()
def version() -> None:
    """Print the version, as lazyobs --version does."""
    click.echo(f"lazyobs, version {__version__}")
