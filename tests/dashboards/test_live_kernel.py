# SPDX-License-Identifier: MIT
"""A real Prometheus scrapes this machine's kernel, and a recording of it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.dashboards.prometheus_server import Programs, running
from tests.dashboards.test_boards import BOARDS, PROMETHEUS
from tests.exporter.starting import exporters
from tests.harness import LAZYOBS, ROOT

pytestmark = pytest.mark.slow

ISLANDS = 211


@pytest.mark.bpf
def test_this_kernel_live_and_recorded(bpf: None, programs: Programs, islands: Callable, tmp_path: Path) -> None:
    workload = islands(ISLANDS)
    record = [*LAZYOBS, "record", "-o", str(tmp_path / "recording")]
    with exporters(tmp_path) as export:
        live = export()
        recording = subprocess.Popen([*record, "--interval", "0.5", "--duration", "4"], cwd=ROOT)
        workload.tell("touch")
        assert recording.wait(60) == 0
        recorded = export("--replay", str(tmp_path / "recording"))
        config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(PROMETHEUS / name) for name in config["rule_files"]]
        config["scrape_configs"][0]["static_configs"] = [{"targets": [live.address, recorded.address]}]
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
        with running(programs, tmp_path / "prometheus.yml", tmp_path / "data") as server:
            both = f'instance=~"{re.escape(live.address)}|{re.escape(recorded.address)}"'.replace("\\", "\\\\")
            for expr in (
                f"count(rate(lazyobs_prepares_total{{{both}}}[1m])) == 2",
                f'count(lazyobs_vmas{{{both}, state="private"}} >= {ISLANDS}) == 2',
                f"count(lazyobs_kernel_info{{{both}}}) == 2",
                "sum(release:lazyobs_hosts:count) == 2",
                f'lazyobs_prepares_total{{instance="{live.address}"}} >= {ISLANDS}',
                "count(instance_cache:lazyobs_slab_active_bytes:product) == 6",
            ):
                server.wait_for(expr)
            values = {"instance": live.address, "__rate_interval": "20s"}
            silent = set()
            for panel in BOARDS["host.json"]["panels"]:
                for target in panel.get("targets", ()):
                    expr = re.sub(r"\$(\w+)", lambda found: values[found[1]], target["expr"])
                    if not server.query(expr):
                        silent.add((panel["title"], target["legendFormat"]))
            # Everything but what this tier does not know.
            tiers = {
                s["metric"]["probe"] for s in server.query(f'lazyobs_probe_attached{{instance="{live.address}"}} == 1')
            }
            needs = {"promotions per second": "promotion", "walk time": "rmap_walk", "walks per second": "rmap_walk",
                     "VMAs per walk": "rmap_one", "broken invariants": "walk_callbacks"}  # fmt: skip
            needs_of_one = {"prepare": "prepare", "fork": "anon_vma_fork", "lazy prepares": "lazy_prepare",
                            "page tables": "page_tables"}  # fmt: skip
            timed = Path("/proc/sys/kernel/bpf_stats_enabled").read_text() == "1\n"
            for title, line in silent:
                if line == "BPF programs":
                    assert not timed
                else:
                    assert (needs.get(title) or needs_of_one[line]) not in tiers, (title, line)
