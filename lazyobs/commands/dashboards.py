# SPDX-License-Identifier: MIT
"""``lazyobs dashboards``: boards, recording rules and alerts, for Grafana and Prometheus."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click

from lazyobs import shipped
from lazyobs.commands import completions
from lazyobs.commands.examples import copied
from lazyobs.commands.options import collected
from lazyobs.errors import NotPermitted
from lazyobs.text import printable, say

# Where the two servers of Debian's and Grafana's packages look: (what comes along, its place below the root).
_PLACES = (
    ("prometheus/lazyobs.rules.yml", "etc/prometheus/lazyobs.rules.yml"),
    ("prometheus/lazyobs.alerts.yml", "etc/prometheus/lazyobs.alerts.yml"),
    ("grafana/provisioning/dashboards/lazyobs.yml", "etc/grafana/provisioning/dashboards/lazyobs.yml"),
    ("grafana/fleet.json", "var/lib/grafana/dashboards/lazyobs/fleet.json"),
    ("grafana/host.json", "var/lib/grafana/dashboards/lazyobs/host.json"),
    ("grafana/kernel-ab.json", "var/lib/grafana/dashboards/lazyobs/kernel-ab.json"),
)
#: Whose package brings along which folder.
_SERVERS = {"Prometheus": "etc/prometheus", "Grafana": "etc/grafana"}
_THEN = """\
Next, in /etc/prometheus/prometheus.yml (lazyobs dashboards DIR copies examples of whole files):
  rule_files: [lazyobs.rules.yml, lazyobs.alerts.yml]
  scrape_configs: [{job_name: lazyobs, static_configs: [{targets: ["HOST:9797"]}]}]
then reload Prometheus and restart Grafana, whose data source any Prometheus can be.
"""


@dataclass(frozen=True)
class DashboardsCommand:
    directory: Path | None
    provision: bool
    root: Path


@click.command()
@click.argument("directory", required=False, type=click.Path(path_type=Path), metavar="[DIR]", shell_complete=completions.directories)  # fmt: skip
@click.option("--provision", is_flag=True, help="Put rules, alerts and boards where Prometheus and Grafana look for them.")  # fmt: skip
@click.option("--root", type=click.Path(path_type=Path), default=Path("/"), show_default=True, metavar="DIR", shell_complete=completions.directories, help="Of --provision: the root below which the two are.")  # fmt: skip
@collected(DashboardsCommand)
def dashboards(asked: DashboardsCommand) -> None:
    """Copy the Grafana boards, and Prometheus' rules, alerts and configurations, to the new directory DIR.

    With --provision, put them to /etc/prometheus, /etc/grafana/provisioning and /var/lib/grafana/dashboards/lazyobs
    instead, in place of earlier ones, and say what is left to do.
    """
    if (asked.directory is None) == (not asked.provision):
        raise click.UsageError("name a directory, or give --provision; one of them")
    source = shipped.folder("dashboards")
    if asked.directory is not None:
        copied(source, asked.directory)
        click.echo(
            f"{printable(str(asked.directory))}: boards in grafana, rules and alerts in prometheus; see lazyobs help fleet"
        )
        return
    servers = {server: asked.root / folder for server, folder in _SERVERS.items()}
    absent = {server: folder for server, folder in servers.items() if not folder.is_dir()}
    for name, place in _PLACES:
        _put(source / name, asked.root / place)
    for server, folder in absent.items():
        say(f"lazyobs: {folder} was not there and is new: {server} does not seem to be installed, or looks elsewhere")
    click.echo(_THEN, nl=False)


def _put(source: Path, target: Path) -> None:
    """Replaces ``target`` at once: a server that reads it meanwhile sees the old one or the new one."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        content = source.read_bytes()
        fd, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            os.fchmod(fd, 0o644)
        os.rename(temporary, target)
    except OSError as error:
        why = f"cannot be written ({error.strerror})"
        raise NotPermitted(f"{target}", why, "run it as root, or name another --root") from None
    click.echo(printable(str(target)))
