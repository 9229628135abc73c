# SPDX-License-Identifier: MIT
"""``lazyobs examples``: the recordings that come along."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from lazyobs import shipped
from lazyobs.commands import completions, usage
from lazyobs.commands.options import OUTPUT, collected
from lazyobs.errors import NotPermitted, UsageError
from lazyobs.text import printable

_COLUMNS = ("name", "kernel", "profile", "lazy_enabled", "bytes", "path")


def _names(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    return completions.beginning(shipped.examples(), incomplete)


@dataclass(frozen=True)
class ExamplesCommand:
    output: str
    name: str | None
    directory: Path | None


@click.command()
@OUTPUT
@click.argument("name", required=False, shell_complete=_names)
@click.argument("directory", required=False, type=click.Path(path_type=Path), metavar="[DIR]", shell_complete=completions.directories)  # fmt: skip
@collected(ExamplesCommand)
def examples(asked: ExamplesCommand) -> None:
    """List the recordings that come along, or copy NAME to DIR (default: a directory of that name here).

    --replay NAME shows one without a copy: lazyobs top --replay lab.
    """
    if asked.name is None:
        from lazyobs.views import plain_rows

        plain_rows.show([_row(name, place) for name, place in shipped.examples().items()], _COLUMNS, asked.output)
        return
    found = shipped.examples()
    if asked.name not in found:
        raise click.UsageError(usage.no_such("example", asked.name, found))
    target = asked.directory or Path(asked.name)
    copied(found[asked.name], target)
    where = printable(str(target))
    click.echo(f"{where}: lazyobs top --replay {where}")


def copied(source: Path, target: Path) -> None:
    """Copies a directory to a new place. UsageError when something is there, NotPermitted when it cannot be written."""
    if os.path.lexists(target):
        raise UsageError(f"{target}", "is there already", "name a new directory")
    try:
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    except (OSError, shutil.Error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise NotPermitted(f"{target}", f"cannot be written ({why})", "name another place") from None


def _row(name: str, place: Path) -> dict[str, Any]:
    identity = json.loads((place / "recording.json").read_bytes())["identity"]
    return {
        "name": name,
        "kernel": identity["release"],
        "profile": identity["profile"],
        "lazy_enabled": identity["lazy_enabled"],
        "bytes": sum(file.stat().st_size for file in place.iterdir()),
        "path": str(place),
    }
