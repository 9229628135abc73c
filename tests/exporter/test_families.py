# SPDX-License-Identifier: MIT
from __future__ import annotations

import re

from prometheus_client.registry import CollectorRegistry

from lazyobs import model
from lazyobs.exporter.cgroups import CgroupFold
from lazyobs.exporter.collector import LazyobsCollector, unknown_sample
from lazyobs.exporter.families import EXPORTER, FAMILIES, HISTOGRAM, NO_METRICS
from lazyobs.sources.orphans import Orphans
from tests.exporter.host import Host, counter_step
from tests.exporter.metrics import of_families, series
from tests.recording import samples

_FORBIDDEN = {"pid", "tgid", "comm", "command", "user", "cgroup_id", "process"}


class _Source:
    def __init__(self, sample: model.Sample) -> None:
        self.sample = sample

    def read(self) -> model.Sample:
        return self.sample

    def close(self) -> None: ...


def _metrics(sample: model.Sample) -> dict:
    return of_families(LazyobsCollector(_Source(sample), CgroupFold()).collect())


def test_every_number_of_the_schema_is_a_metric() -> None:
    metrics = _metrics(Host().read())
    names = {name for name, _ in metrics}
    for counter in model.COUNTERS:
        if counter.name == "lock_waited_ns":  # the sum of a histogram
            assert "lazyobs_lock_wait_seconds_sum" in names
            continue
        metric = counter.name.replace("_ns", "_seconds")
        assert f"lazyobs_{metric}_total" in names
        assert f"lazyobs_exited_{metric}_total" in names
    for histogram in model.HISTOGRAMS:
        assert any(name.startswith("lazyobs_rmap_walk_" if "rmap" in histogram.name else f"lazyobs_{histogram.name}")
                   and name.endswith("_bucket") for name in names)  # fmt: skip
    assert len([family for family in FAMILIES if family.part == "health"]) == len(model.HEALTH_COLUMNS) - len(
        NO_METRICS
    )
    health = {family.full_name for family in FAMILIES if family.part == "health"}
    assert health <= names


def test_counters_are_the_samples_numbers() -> None:
    host = Host()
    for _ in range(3):
        sample = host.read()
    metrics = _metrics(sample)
    for index, counter in enumerate(model.COUNTERS):
        if counter.name == "lock_waited_ns":
            continue
        expected = 3 * counter_step(index)
        for value in counter.values:
            assert metrics[series(f"lazyobs_{counter.name}_total", **{counter.split: value})] == expected
        if not counter.split:
            unit = 1e9 if counter.name.endswith("_ns") else 1
            name = counter.name.replace("_ns", "_seconds")
            assert metrics[series(f"lazyobs_{name}_total")] == expected / unit


def test_states_add_up_to_all_vmas() -> None:
    metrics = _metrics(Host().read())
    states = {dict(labels)["state"]: value for (name, labels), value in metrics.items() if name == "lazyobs_vmas"}
    assert states == {"plain": 506, "lazy": 211, "private": 101, "shared": 191}
    assert sum(states.values()) == 1009


def test_states_of_the_cgroups_add_up_too() -> None:
    host = Host(processes=211, cgroups=101)
    states: dict[str, float] = {}
    for (name, labels), value in _metrics(host.read()).items():
        if name == "lazyobs_cgroup_vmas":
            state = dict(labels)["state"]
            states[state] = states.get(state, 0) + value
    assert states == {"plain": 3 * 211, "lazy": 2 * 211, "private": 2 * 211, "shared": 3 * 211}


def test_cgroups_where_the_states_of_anonymous_memory_are_not_known() -> None:
    sample = Host(cgroups=1).read()
    for process in sample.processes:
        process.census |= {"vmas_lazy": None, "vmas_private": None, "vmas_shared": None}
    metrics = _metrics(sample)
    states = {dict(labels)["state"] for name, labels in metrics if name == "lazyobs_cgroup_vmas"}
    assert states == {"plain", "anonymous"}


def test_unknown_is_no_series_and_never_zero() -> None:
    sample = unknown_sample()
    names = {name for name, _ in _metrics(sample)}
    for family in FAMILIES:
        if family.part in ("totals", "exited", "histograms", "slabs", "health"):
            assert not any(name.startswith(family.full_name) for name in names), family.name
    assert "lazyobs_vmas" not in names


def test_known_labels_are_zero_from_the_start() -> None:
    sample = Host().read()
    for counter in model.COUNTERS:
        sample.totals[counter.name] = 0
        if counter.split:
            sample.totals[counter.split_key] = dict.fromkeys(counter.values, 0)
    metrics = _metrics(sample)
    for counter in model.COUNTERS:
        for value in counter.values:
            assert metrics[series(f"lazyobs_{counter.name}_total", **{counter.split: value})] == 0


def test_a_counter_that_cannot_be_divided_is_one_series_without_the_label() -> None:
    sample = Host().read()
    sample.totals["promotions_by_reason"] = None
    metrics = _metrics(sample)
    found = {labels: v for (name, labels), v in metrics.items() if name == "lazyobs_promotions_total"}
    assert found == {(("reason", ""),): sample.totals["promotions"]}


def test_procfs_tier_tells_anonymous_vmas_apart_from_plain_ones_only() -> None:
    sample = Host().read()
    for state in ("lazy", "private", "shared"):
        sample.census[f"vmas_{state}"] = None
    metrics = _metrics(sample)
    found = {dict(labels)["state"]: v for (name, labels), v in metrics.items() if name == "lazyobs_vmas"}
    assert found == {"plain": 506, "anonymous": 503}


def test_names_are_of_the_form_prometheus_wants() -> None:
    for family in FAMILIES:
        assert re.fullmatch(r"lazyobs_[a-z][a-z0-9_]*", family.full_name)
        assert not family.name.endswith(("_total", "_bucket", "_sum", "_count", "_created"))
        assert not re.search(r"(milli|micro|nano)seconds|_kb|_mb|_ms|_us|_ns", family.name)
        assert not _FORBIDDEN & set(family.labels), family.name
        if family.kind == HISTOGRAM:
            assert family.unit in ("seconds", "vmas") and family.name.endswith(family.unit)
    names = [family.full_name for family in FAMILIES]
    assert len(set(names)) == len(names)


def test_registering_reads_nothing() -> None:
    host = Host()
    CollectorRegistry().register(LazyobsCollector(host, CgroupFold()))
    assert host.steps == 0


def test_described_names_are_the_collected_ones() -> None:
    collector = LazyobsCollector(
        Host(),
        CgroupFold(),
        itself=lambda: {name: 1 for name, *_ in EXPORTER},
        orphans=lambda: [Orphans("anon_vma", orphans=23, spread=0)],
    )
    assert {m.name for m in collector.collect()} == {m.name for m in collector.describe()}


def test_500_processes_in_200_cgroups_stay_within_550_series() -> None:
    host = Host(processes=500, cgroups=200)
    metrics = _metrics(host.read())
    assert len(metrics) <= 550, len(metrics)
    assert metrics[series("lazyobs_processes")] == 500
    assert metrics[series("lazyobs_cgroups")] == 200
    assert metrics[series("lazyobs_cgroups_in_other")] == 190


def test_families_that_wait_are_numbers_and_no_labels() -> None:
    sample = Host().read()
    assert _metrics(sample)[series("lazyobs_lock_families")] == 0
    sample.families = [samples.family(number) for number in range(1, 129)]
    metrics = _metrics(sample)
    assert metrics[series("lazyobs_lock_families")] == 128
    assert metrics[series("lazyobs_lock_families_longest_wait_seconds")] == 1_009e-9
    assert len([name for name, _ in metrics if name.startswith("lazyobs_lock_families")]) == 2
    sample.families, sample.null_reasons["families"] = [], "this kernel has no tracepoint contention_begin"
    assert not [name for name, _ in _metrics(sample) if name.startswith("lazyobs_lock_families")]
