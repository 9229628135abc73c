# SPDX-License-Identifier: MIT
"""``lazyobs version``"""

from __future__ import annotations

import click

from lazyobs import __version__, shipped


@click.command()
def version() -> None:
    """Print the version and the commit, as lazyobs --version does."""
    click.echo(f"lazyobs, version {shipped.version(__version__)}")
