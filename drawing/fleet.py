# SPDX-License-Identifier: MIT
"""The fleet board, drawn from a Prometheus that scrapes nine hosts with the project's own rules.

The hosts are made up, the exporters, rules, queries and the board are the real ones.
"""

from __future__ import annotations

import json
import math
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

from drawing.browser import photograph
from lazyobs.model import HISTOGRAM_BUCKETS, Sample
from tests.dashboards.fleet import exporting
from tests.dashboards.prometheus_server import programs_or_why, running
from tests.exporter.host import Host
from tests.harness import ROOT

DASHBOARDS = ROOT / "dashboards"
BOARD = DASHBOARDS / "grafana/fleet.json"
SHOWN = ("What the fleet pays", "Rollout of a lazy kernel: off, on")  # rows of the board
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


def titles(board: Path = BOARD) -> list[str]:
    """Of the rows in the picture and their panels: what it says, whatever the numbers are."""
    found, within = [], False
    for panel in json.loads(board.read_text(encoding="utf-8"))["panels"]:
        if panel["type"] == "row":
            within = panel["title"] in SHOWN
        if within:
            found.append(panel["title"])
    return found


def _left_out() -> list[str]:
    panels = json.loads(BOARD.read_text(encoding="utf-8"))["panels"]
    return [panel["title"] for panel in panels if panel["type"] == "row" and panel["title"] not in SHOWN]


def _height() -> int:
    """Pixels of the rows that are shown."""
    within, most, least = False, 0, 0
    for panel in json.loads(BOARD.read_text(encoding="utf-8"))["panels"]:
        place = panel["gridPos"]
        if panel["type"] == "row":
            within = panel["title"] in SHOWN
            least = place["y"] if within and not most else least
        if within:
            most = max(most, place["y"] + place["h"])
    return (most - least) * _CELL + 60


def draw(file: Path) -> str:
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
                "board": "grafana/fleet.json", "prometheus": server.url, "minutes": f"{_SECONDS / 60:g}",
                "rows": "|".join(_left_out()),
            }  # fmt: skip
            photograph(f"{pages}/picture.html?{urllib.parse.urlencode(asked)}", 1200, _height(), file)
    return "\n".join(titles()) + "\n"


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
