# SPDX-License-Identifier: MIT
"""One Prometheus server and a fleet of simulated targets: series, memory, time of rules, CPU of scrapes; and a second
server that federates the recorded series of the fleet, or is sent all samples.
``python -m bench.fleet_scale [TARGETS [SECONDS [federate|remote_write]]]``.

One process serves /metrics/N for every N: pages of the real exporter's collector and renderer, one for each sample of the
recording examples/lab, the same of all hosts at a moment. So label values repeat as they do in a fleet, and samples
compress better than those of hosts that differ: memory of the head is that of series, chunks are a lower bound.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from bench.exporter import get, number
from lazyobs.exporter.cgroups import CgroupFold
from lazyobs.exporter.collector import LazyobsCollector
from lazyobs.exporter.page import Page
from lazyobs.model import Sample
from lazyobs.recording.reader import Recording
from lazyobs.recording.replay import ReplaySource
from tests.dashboards.prometheus_server import Programs, Prometheus, programs_or_why, running

TARGETS, SECONDS = 500, 90.0
_ROOT = Path(__file__).resolve().parent.parent
_RULES = _ROOT / "dashboards/prometheus"
_INTERVAL = 15
_CONTENT = "text/plain; version=0.0.4; charset=utf-8"
_FLEET = '{__name__=~"release.*:lazyobs_.*"}'


class _Again:
    """A recording's samples, each of them read once."""

    def __init__(self, path: Path) -> None:
        self._source = ReplaySource(str(path))
        self._samples = list(Recording(str(path)).samples())
        self.left = len(self._samples)

    def read(self) -> Sample:
        self.left -= 1
        return self._samples[-1 - self.left]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def pages() -> list[bytes]:
    """What an exporter of the recorded machine serves, sample by sample."""
    source = _Again(_ROOT / "examples/lab")
    page = Page(LazyobsCollector(source, CgroupFold()))  # type: ignore[arg-type]
    found = []
    while source.left:
        found.append(page.text())
    source.close()
    return found


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A Prometheus that is stopped resets thousands of connections."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def _fleet(served: list[bytes]) -> Iterator[str]:
    began = time.monotonic()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            page = served[min(int((time.monotonic() - began) / _INTERVAL), len(served) - 1)]
            self.send_response(200)
            self.send_header("Content-Type", _CONTENT)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_arguments: object) -> None: ...

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()


def _own(server: Prometheus) -> bytes:
    return get(f"{server.url}/metrics")


def _configuration(address: str, targets: int) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((_RULES / "prometheus.yml").read_text())
    config["rule_files"] = [str(_RULES / name) for name in config["rule_files"]]
    config["scrape_configs"][0]["static_configs"] = [
        {"targets": [address], "labels": {"__metrics_path__": f"/metrics/{number}", "instance": f"host-{number}:9797"}}
        for number in range(targets)
    ]
    return config


def _federating(address: str) -> dict[str, Any]:
    job = {
        "job_name": "fleet", "honor_labels": True, "metrics_path": "/federate", "params": {"match[]": [_FLEET]},
        "static_configs": [{"targets": [address]}],
    }  # fmt: skip
    return {"global": {"scrape_interval": f"{_INTERVAL}s"}, "scrape_configs": [job]}


def _sending(config: dict[str, Any], address: str) -> dict[str, Any]:
    return {**config, "remote_write": [{"url": f"http://{address}/api/v1/write"}]}


def _total(page: bytes, name: str) -> float:
    """Of all series of that name, whatever their labels."""
    found = re.findall(rb"^%s(?:\{[^\n]*\})? (\S+)$" % name.encode(), page, re.MULTILINE)
    if not found:
        raise RuntimeError(f"Prometheus has no {name}")
    return sum(map(float, found))


def run(targets: int = TARGETS, seconds: float = SECONDS, way: str = "federate") -> dict[str, Any]:
    """``way``: that of samples to the second server, federate or remote_write. RuntimeError where there is no
    Prometheus, or a target is not scraped."""
    programs = programs_or_why()
    if not isinstance(programs, Programs):
        raise RuntimeError(programs)
    served = pages()
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="lazyobs-fleet-") as name, _fleet(served) as address:
        place = Path(name)
        config = _configuration(address, targets)
        if way == "federate":
            (place / "one.yml").write_text(yaml.safe_dump(config))
            with running(programs, place / "one.yml", place / "one") as server:
                (place / "two.yml").write_text(yaml.safe_dump(_federating(server.url.removeprefix("http://"))))
                with running(programs, place / "two.yml", place / "two") as second:
                    found = _measured(server, targets, seconds, len(served))
                    federated = second.wait_for(f"count({_FLEET})")
                    return {**found, "federated_series": int(federated[0]["value"][1])}
        (place / "two.yml").write_text(yaml.safe_dump({"global": {"scrape_interval": f"{_INTERVAL}s"}}))
        with running(programs, place / "two.yml", place / "two", "--web.enable-remote-write-receiver") as second:
            (place / "one.yml").write_text(yaml.safe_dump(_sending(config, second.url.removeprefix("http://"))))
            with running(programs, place / "one.yml", place / "one") as server:
                cpu, began = number(_own(second), "process_cpu_seconds_total"), time.monotonic()
                found = _measured(server, targets, seconds, len(served))
                return {**found, **_received(_own(server), _own(second), cpu, time.monotonic() - began)}


def _measured(server: Prometheus, targets: int, seconds: float, count: int) -> dict[str, Any]:
    """Figures of the server, ``seconds`` after all targets are there."""
    empty = number(_own(server), "process_resident_memory_bytes")
    server.wait_for(f'count(up{{job="lazyobs"}} == 1) == {targets}', 180)
    before, began = number(_own(server), "process_cpu_seconds_total"), time.monotonic()
    time.sleep(seconds)
    page, passed = _own(server), time.monotonic() - began
    groups = server.api("rules")["groups"]
    up = server.query('count(up{job="lazyobs"} == 1)')
    recorded = server.query(f"count({_FLEET})")
    scraped = server.query('max(scrape_samples_scraped{job="lazyobs"})')
    took = server.query('quantile(0.99, scrape_duration_seconds{job="lazyobs"})')
    if int(up[0]["value"][1]) != targets:
        raise RuntimeError(f"{up[0]['value'][1]} of {targets} targets are scraped")
    series, resident = number(page, "prometheus_tsdb_head_series"), number(page, "process_resident_memory_bytes")
    return {
        "targets": targets,
        "pages": count,
        "series_a_target": int(scraped[0]["value"][1]),
        "head_series": int(series),
        "resident_bytes": resident,
        "resident_bytes_a_series": round((resident - empty) / series),
        "resident_bytes_a_target": round((resident - empty) / targets),
        "heap_bytes": number(page, "go_memstats_heap_inuse_bytes"),
        "cpu_percent": round(100 * (number(page, "process_cpu_seconds_total") - before) / passed, 1),
        "scrape_p99_seconds": float(took[0]["value"][1]),
        "rule_seconds": {group["name"]: round(group["evaluationTime"], 4) for group in groups},
        "slowest_rules_seconds": round(max(group["evaluationTime"] for group in groups), 4),
        "rule_iterations": int(_total(page, "prometheus_rule_group_iterations_total")),
        "rule_iterations_missed": int(_total(page, "prometheus_rule_group_iterations_missed_total")),
        "recorded_series": int(recorded[0]["value"][1]),
        "load": round(os.getloadavg()[0], 1),
    }


def _received(page: bytes, theirs: bytes, cpu_before: float, passed: float) -> dict[str, Any]:
    """Of remote write: what was sent, how far behind the last sample the last one sent is, and what the receiver takes."""
    newest = _total(page, "prometheus_remote_storage_highest_timestamp_in_seconds")
    return {
        "sent_samples": int(_total(page, "prometheus_remote_storage_samples_total")),
        "failed_samples": int(_total(page, "prometheus_remote_storage_samples_failed_total")),
        "dropped_samples": int(_total(page, "prometheus_remote_storage_samples_dropped_total")),
        "behind_seconds": round(
            newest - _total(page, "prometheus_remote_storage_queue_highest_sent_timestamp_seconds"), 1
        ),
        "shards": int(_total(page, "prometheus_remote_storage_shards")),
        "received_series": int(number(theirs, "prometheus_tsdb_head_series")),
        "receiver_resident_bytes": number(theirs, "process_resident_memory_bytes"),
        "receiver_cpu_percent": round(100 * (number(theirs, "process_cpu_seconds_total") - cpu_before) / passed, 1),
    }


if __name__ == "__main__":
    asked = dict(zip(("targets", "seconds", "way"), sys.argv[1:]))
    found = run(int(asked.get("targets", TARGETS)), float(asked.get("seconds", SECONDS)), asked.get("way", "federate"))
    json.dump(found, sys.stdout, indent=1)
    print()
