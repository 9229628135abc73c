# SPDX-License-Identifier: MIT
"""The boards, drawn from a Prometheus that scrapes nine hosts with the project's own rules.

The hosts are made up, the exporters, rules, queries and boards are the real ones.
"""

from __future__ import annotations

import json
import math
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from drawing.browser import photograph
from lazyobs.model import HISTOGRAM_BUCKETS, Sample
from tests.dashboards.fleet import exporting
from tests.dashboards.prometheus_server import programs_or_why, running
from tests.exporter.host import Host
from tests.harness import ROOT

DASHBOARDS = ROOT / "dashboards"
_TOP = ""  # the panels above the first row
_SECONDS = 240  # of scraping
_CELL = 30  # pixels of a row of the board's grid (picture.html)
_WAITS = 0.0002  # of a CPU, for each path and unit of size
_PER_VMA = 168  # bytes of an anon_vma and a chain


class MadeUp(Host):
    """A host whose VMAs come and go; ``size`` is what it has beside the others."""

    def __init__(self, release: str, lazy: bool | None, size: int) -> None:
        super().__init__(release, lazy=lazy, processes=11, cgroups=5, real_time=True)
        self._size = size

    def read(self) -> Sample:
        made = super().read()
        swing = 1 + 0.15 * math.sin(time.monotonic() / 40 + self._size)
        private = int(4000 * self._size * swing)
        shared = 2500 * self._size
        saved = private if self.lazy else 0
        kept = shared + private - saved
        made.census.update(
            vmas=3 * (private + shared), vmas_anon=private + shared, vmas_lazy=saved, vmas_private=private - saved,
            vmas_shared=shared, anon_vmas_held=kept, chains_held=kept + shared, saved_bytes=saved * _PER_VMA,
            savable_bytes=(private - saved) * _PER_VMA, savable_low_bytes=int((private - saved) * 0.8) * _PER_VMA,
            savable_high_bytes=int((private - saved) * 1.1) * _PER_VMA,
        )  # fmt: skip
        held = {"anon_vma": kept, "anon_vma_chain": kept + shared, "vm_area_struct": 3 * (private + shared)}
        made.slabs = [replace(one, objects_active=held[one.cache], objects=held[one.cache]) for one in made.slabs]
        for number, process in enumerate(made.processes):
            part = made.census["savable_bytes"] or 0
            process.census["savable_bytes"] = part * (number + 1) // sum(range(len(made.processes) + 1))
        for series in made.histograms:
            if series.startswith("lock_wait"):
                made.histograms[series] = self._durations(_WAITS * self._size, shared, 14)
            elif series.startswith("rmap_walk_seconds"):
                made.histograms[series] = self._durations(0.001, shared, 13)
        return made

    def _durations(self, share: float, vmas: int, slot: int) -> dict[str, object]:
        """Of things that take ``share`` of a CPU, longer where there are more VMAs: most about 2**slot ns."""
        seconds = self.steps / 10
        count = int(seconds * share / (2e-9 * (1 << slot)) * 10) + 1
        late = slot + (vmas > 12_000)
        parts = [
            0.0 if at < late else 0.5 if at == late else 0.9 if at == late + 1 else 0.995 if at < late + 4 else 1.0
            for at in range(HISTOGRAM_BUCKETS)
        ]
        bounds = [*(float(1 << at) for at in range(HISTOGRAM_BUCKETS - 1)), None]
        buckets = [[bound, int(count * part)] for bound, part in zip(bounds, parts)]
        return {"buckets": buckets, "sum": seconds * share, "count": count}


def _hosts() -> list[MadeUp]:
    return [
        *(MadeUp("7.3.4", None, size) for size in (3, 5, 11)),
        *(MadeUp("7.3.4-lazy", False, size) for size in (4, 6, 7)),
        *(MadeUp("7.3.4-lazy", True, size) for size in (4, 6, 7)),
    ]


@dataclass(frozen=True)
class BoardPicture:
    """``rows``: titles of the rows that are shown, "" for what stands above the first; ``variables``: the board's."""

    board: str
    rows: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)

    def panels(self) -> list[dict[str, Any]]:
        """Those that are shown, as in the board's JSON."""
        found, within = [], _TOP in self.rows
        for panel in self._all():
            if panel["type"] == "row":
                within = panel["title"] in self.rows
            if within:
                found.append(panel)
        return found

    def titles(self) -> list[str]:
        """What the picture says, whatever the numbers are."""
        return [panel["title"] for panel in self.panels()]

    def left_out(self) -> list[str]:
        return [panel["title"] for panel in self._all() if panel["type"] == "row" and panel["title"] not in self.rows]

    def height(self) -> int:
        """Pixels."""
        places: list[dict[str, int]] = [panel["gridPos"] for panel in self.panels()]
        top, bottom = min(place["y"] for place in places), max(place["y"] + place["h"] for place in places)
        return (bottom - top) * _CELL + 60

    def _all(self) -> list[dict[str, Any]]:
        text = (DASHBOARDS / f"grafana/{self.board}.json").read_text(encoding="utf-8")
        return json.loads(text)["panels"]  # type: ignore[no-any-return]


BOARDS = {
    "fleet": BoardPicture("fleet", ("What the fleet pays", "Rollout of a lazy kernel: off, on")),
    "kernel-ab": BoardPicture(
        "kernel-ab",
        ("B / A", "Memory, per host"),
        {"release_a": "7.3.4-lazy", "lazy_a": "off", "release_b": "7.3.4-lazy", "lazy_b": "on"},
    ),
    "host": BoardPicture("host", (_TOP, "VMAs and memory", "Work"), {"instance": "host-9"}),
}


def draw(picture: BoardPicture, file: Path) -> str:
    """Writes the PNG; its words. RuntimeError where there is no Prometheus."""
    programs = programs_or_why()
    if isinstance(programs, str):
        raise RuntimeError(programs)
    with TemporaryDirectory(prefix="lazyobs-drawing-") as folder, exporting(*_hosts()) as addresses:
        config = Path(folder) / "prometheus.yml"
        config.write_text(json.dumps(_config(addresses)), encoding="utf-8")  # JSON is YAML
        with running(programs, config, Path(folder) / "data", "--web.cors.origin=.*") as server, _served() as pages:
            time.sleep(_SECONDS)
            asked = {
                "board": f"grafana/{picture.board}.json", "prometheus": server.url, "minutes": f"{_SECONDS / 60:g}",
                "rows": "|".join(picture.left_out()), **picture.variables,
            }  # fmt: skip
            photograph(f"{pages}/picture.html?{urllib.parse.urlencode(asked)}", 1200, picture.height(), file)
    return "\n".join(picture.titles()) + "\n"


def _config(addresses: list[str]) -> dict[str, object]:
    names = [f"host-{number}" for number in range(1, len(addresses) + 1)]
    targets = [{"targets": [address], "labels": {"instance": name}} for address, name in zip(addresses, names)]
    rules = [str(DASHBOARDS / "prometheus" / name) for name in ("lazyobs.rules.yml", "lazyobs.alerts.yml")]
    return {
        "global": {"scrape_interval": "2s", "evaluation_interval": "2s"},
        "rule_files": rules,
        "scrape_configs": [{"job_name": "lazyobs", "static_configs": targets}],
    }


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Nothing: its requests are no news."""


@contextmanager
def _served() -> Iterator[str]:
    """The dashboards' directory over HTTP on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(DASHBOARDS)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
