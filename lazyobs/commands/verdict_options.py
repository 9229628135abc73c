# SPDX-License-Identifier: MIT
"""The options that ``report`` and ``compare`` share: how to judge, and how to print the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from lazyobs.commands.libraries import need_libraries
from lazyobs.commands.options import OUTPUT, all_of

_LIBRARIES = ("numpy", "pyarrow", "scipy", "plotly")

VERDICT_OPTIONS = all_of(
    OUTPUT,
    click.option("--json", "json", is_flag=True, help="The same as -o json."),
    click.option("--text", "text", is_flag=True, help="Print plain text of 72 columns for a mailing list."),
    click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Also write a page with charts."),
    click.option("--need-pass", is_flag=True, help="Exit with 1 on INCONCLUSIVE too, for a rollout that requires a PASS."),
    click.option("--engine", default="duckdb", show_default=True, metavar="NAME", help="Engine that reads the recordings: duckdb or spark."),
    click.option("--cmdline", is_flag=True, help="Show the kernel's whole command line, where it was recorded."),
    click.option("--thresholds", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="TOML file that overrides values of lazyobs/soak/thresholds.toml."),
)  # fmt: skip


@dataclass(frozen=True)
class VerdictOptions:
    """``html``: file of an additional page; ``need_pass``: only PASS exits with 0; ``cmdline``: show all of it."""

    output: str
    json: bool
    text: bool
    html: Path | None
    need_pass: bool
    engine: str
    thresholds: Path | None
    cmdline: bool = False

    @property
    def form(self) -> str:
        """table, json, csv or text. UsageError if two formats were requested."""
        if self.text and (self.json or self.output != "table"):
            raise click.UsageError("--text is a format of its own: omit -o and --json")
        if self.json and self.output == "csv":
            raise click.UsageError("--json and -o csv are different formats: choose one")
        return "text" if self.text else "json" if self.json else self.output


def check_verdict(options: VerdictOptions, command: str) -> None:
    """UsageError for two formats at once; NotSupported if a library is missing that only these commands import."""
    _ = options.form
    need_libraries(command, _LIBRARIES)
