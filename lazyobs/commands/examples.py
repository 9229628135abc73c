# SPDX-License-Identifier: MIT
"""``lazyobs examples``: the recordings that come along."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from lazyobs import shipped
from lazyobs.commands import completions, usage
from lazyobs.commands.options import OUTPUT, collected
from lazyobs.errors import NotPermitted, UsageError
from lazyobs.text import printable
from lazyobs.unix import small_file

_COLUMNS = ("name", "kernel", "profile", "lazy_enabled", "bytes", "path", "boots", "seconds", "shows", "command")
_IN_A_TABLE = ("name", "kernel", "boots", "seconds", "shows", "command")


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

    A command that reads recordings finds each by its name, without a copy. Of several boots report and compare take
    all, the others the first; NAME/BOOT is one of them.
    """
    if asked.name is None:
        from lazyobs.views import plain_rows

        columns = _IN_A_TABLE if asked.output == "table" else _COLUMNS
        about = _about()
        rows = [_row(name, place, about.get(name, {})) for name, place in shipped.examples().items()]
        plain_rows.show([{name: row[name] for name in columns} for row in rows], columns, asked.output)
        return
    found = shipped.examples()
    if asked.name not in found:
        raise click.UsageError(usage.no_such("example", asked.name, found))
    target = asked.directory or Path(asked.name)
    copied(found[asked.name], target)
    where = printable(str(target))
    several = len(shipped.boots(target)) > 1
    click.echo(f"{where}: lazyobs {'report' if several else 'top --replay'} {where}")


def copied(source: Path, target: Path) -> None:
    """Copies a directory to a new place. UsageError when something is there, NotPermitted when it cannot be written."""
    if os.path.lexists(target):
        raise UsageError(f"{target}", "is there already", "name a new directory")
    try:
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    except (OSError, shutil.Error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise NotPermitted(f"{target}", f"cannot be written ({why})", "name another place") from None


def _about() -> dict[str, dict[str, Any]]:
    """{name: what examples.toml says of it}."""
    return small_file.read_toml(shipped.folder("examples") / "examples.toml")


def _row(name: str, place: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    boots = shipped.boots(place)
    identity = json.loads((boots[0] / "recording.json").read_bytes())["identity"]
    return {
        "name": name,
        "kernel": identity["release"],
        "profile": identity["profile"],
        "lazy_enabled": identity["lazy_enabled"],
        "bytes": sum(file.stat().st_size for boot in boots for file in boot.iterdir()),
        "path": str(place),
        "boots": len(boots),
        "seconds": about.get("seconds"),
        "shows": about.get("shows", ""),
        "command": about.get("command", ""),
    }
