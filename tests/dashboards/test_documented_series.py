# SPDX-License-Identifier: MIT
"""How many series a host has: docs/fleet.md and agent.yml give the numbers that the exporter's collector serves."""

from __future__ import annotations

import re

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.registry import CollectorRegistry

from lazyobs.bpf.points import POINTS
from lazyobs.exporter.cgroups import CgroupFold
from lazyobs.exporter.collector import LazyobsCollector
from lazyobs.exporter.families import EXPORTER
from lazyobs.model import COUNTERS, HISTOGRAMS, Sample
from lazyobs.sources.account import CACHES
from lazyobs.sources.orphans import Orphans
from tests.dashboards.test_boards import PROMETHEUS
from tests.exporter.host import Host
from tests.exporter.metrics import of_page
from tests.harness import ROOT

FLEET = (ROOT / "docs/fleet.md").read_text()
AGENT = (PROMETHEUS / "agent.yml").read_text()


class _Source:
    def __init__(self, sample: Sample) -> None:
        self.sample = sample

    def read(self) -> Sample:
        return self.sample

    def close(self) -> None: ...


_OF_A_BUDGET = (
    "budget_share", "floor_share", "loader_rss_bytes", "events_shed", "points_shed", "census_every", "shed_seconds",
)  # fmt: skip


def _sample() -> Sample:
    """500 processes in 200 cgroups, every probe attached.

    The exporter has no event stream and takes no barrier readings for the ledger; BPF statistics are off.
    """
    sample = Host(processes=500, cgroups=200).read()
    sample.health |= dict.fromkeys(("ring_lost", "bpf_runs", "bpf_seconds", "bpf_share", *_OF_A_BUDGET))
    sample.totals["violations_by_invariant"]["ledger"] = None
    return sample


def _page(sample: Sample) -> bytes:
    registry = CollectorRegistry()
    registry.register(
        LazyobsCollector(
            _Source(sample),
            CgroupFold(),
            itself=lambda: {name: 1 for name, *_ in EXPORTER},
            orphans=lambda: [Orphans(cache, orphans=23, spread=0) for cache in CACHES],
        )
    )
    return generate_latest(registry)


def _without_function_probes(sample: Sample) -> Sample:
    """What is left at the tracepoint tier: the numbers that no probe on a function has a part in."""
    lost = {name for point in POINTS if not point.fixed for name in point.feeds}
    lost -= {name for point in POINTS if point.fixed for name in point.stands_in}
    lost.add("violations")  # every invariant that the kernel part watches needs a probe on a function
    for counter in COUNTERS:
        if counter.name in lost:
            sample.totals[counter.name] = sample.exited[counter.name] = None
            if counter.split:
                sample.totals[counter.split_key] = None
    for histogram in HISTOGRAMS:
        if histogram.name in lost:
            for series in histogram.series():
                del sample.histograms[series]
    for point in POINTS:
        if not point.fixed and point.name in sample.tiers:
            sample.tiers[point.name] = None
    return sample


def _documented(pattern: str, text: str = FLEET) -> int:
    found = re.findall(pattern, text)
    assert len(found) == 1, (pattern, found)
    return int(found[0].replace(",", ""))


def test_series_of_a_host_with_every_probe() -> None:
    page = of_page(_page(_sample()))
    series = len(page)
    exited = sum(name.startswith("lazyobs_exited_") for name, _ in page)
    # In one comparison, so that whoever adds a counter sees at once what to change.
    assert {
        "fleet.md": _documented(r"\*\*(\d+) series\*\*"),
        "fleet.md, without exited": _documented(r"saves (\d+) series"),
        "fleet.md, table": [_documented(rf"\| {hosts} \| ([\d,]+) \|") for hosts in (1, 100)],
        "agent.yml": _documented(r"has (\d+) series", AGENT),
    } == {
        "fleet.md": series,
        "fleet.md, without exited": exited,
        "fleet.md, table": [series, 100 * series],
        "agent.yml": series,
    }
    assert series < yaml.safe_load(AGENT)["scrape_configs"][0]["sample_limit"]


def test_series_of_a_host_at_the_tracepoint_tier() -> None:
    series = len(of_page(_page(_without_function_probes(_sample()))))
    assert _documented(r"\*\*(\d+)\*\* at\s+the\s+tracepoint\s+tier") == series


def test_bpf_statistics_add_three_series() -> None:
    sample = _sample()
    without = of_page(_page(sample)).keys()
    sample.health |= {"bpf_runs": 1e6, "bpf_seconds": 0.5, "bpf_share": 0.001}
    assert {name for name, _ in of_page(_page(sample)).keys() - without} == {
        "lazyobs_bpf_runs_total",
        "lazyobs_bpf_seconds_total",
        "lazyobs_bpf_share",
    }


def test_series_that_a_budget_adds() -> None:
    """The exporter has no events to shed, and the floor is known only where it is the matter; BPF time comes with it."""
    sample = _sample()
    without = of_page(_page(sample)).keys()
    sample.health |= {name: 0.005 for name in _OF_A_BUDGET if name not in ("events_shed", "floor_share")}
    sample.health |= {"bpf_share": 0.001, "bpf_seconds": 0.5, "own_cpu_share": 0.002}
    assert len(of_page(_page(sample)).keys() - without) == _documented(r"`--budget` adds (\d+)")


def test_size_of_a_page() -> None:
    assert len(_page(_sample())) / 1000 == pytest.approx(_documented(r"it is about\s+(\d+) kB of text"), rel=0.1)
