# SPDX-License-Identifier: MIT
from __future__ import annotations

from dataclasses import replace

import pytest

from lazyobs.exporter.cgroups import CgroupFold
from lazyobs.exporter.collector import LazyobsCollector
from lazyobs.exporter.families import FAMILIES, PARTS
from lazyobs.model import Sample
from tests.exporter.host import Host
from tests.exporter.metrics import of_families, series


def _success(metrics: dict) -> dict[str, float]:
    name = "lazyobs_scrape_collector_success"
    return {dict(labels)["collector"]: value for (found, labels), value in metrics.items() if found == name}


def _names_of(part: str) -> set[str]:
    return {family.full_name for family in FAMILIES if family.part == part}


class _Failing(Host):
    """A host whose sample says that some parts could not be read."""

    def __init__(self, **failed: str) -> None:
        super().__init__()
        self.failed = failed

    def read(self) -> Sample:
        return replace(super().read(), failed=self.failed)


def test_all_parts_succeed() -> None:
    metrics = of_families(LazyobsCollector(Host(), CgroupFold()).collect())
    assert _success(metrics) == dict.fromkeys(PARTS, 1)


@pytest.mark.parametrize("part", ["totals", "exited", "histograms", "slabs", "health"])
def test_a_part_that_failed_is_skipped_and_named(part: str) -> None:
    whole = {name for name, _ in of_families(LazyobsCollector(Host(), CgroupFold()).collect())}
    metrics = of_families(LazyobsCollector(_Failing(**{part: "reading failed"}), CgroupFold()).collect())
    assert _success(metrics) == {**dict.fromkeys(PARTS, 1), part: 0}
    missing = whole - {name for name, _ in metrics}
    assert missing == {name for name in whole if any(name.startswith(family) for family in _names_of(part))}
    assert missing


def test_without_a_census_there_are_no_processes_nor_cgroups() -> None:
    metrics = of_families(LazyobsCollector(_Failing(census="reading failed"), CgroupFold()).collect())
    assert [part for part, good in _success(metrics).items() if not good] == ["census", "processes", "cgroups"]
    assert metrics[series("lazyobs_prepares_total")] == 23


def test_a_part_that_makes_no_sense_costs_itself_alone(capfd: pytest.CaptureFixture[str]) -> None:
    class Odd(Host):
        def read(self) -> Sample:
            sample = super().read()
            sample.slabs[0].cache = None  # type: ignore[assignment]
            sample.histograms["fork_seconds"] = {"buckets": [], "sum": 0, "count": 0}
            return sample

    collector = LazyobsCollector(Odd(), CgroupFold())
    for _ in range(3):
        metrics = of_families(collector.collect())
    assert not _success(metrics)["histograms"]
    assert not any(name.startswith("lazyobs_prepare_seconds") for name, _ in metrics)
    assert metrics[series("lazyobs_prepares_total")] == 69
    told = [line for line in capfd.readouterr().err.splitlines() if "histograms" in line]
    assert len(told) == 1


def test_a_source_that_fails_leaves_what_does_not_come_from_it() -> None:
    class Broken(Host):
        def read(self) -> Sample:
            raise OSError(5, "the map is gone")

    metrics = of_families(LazyobsCollector(Broken(), CgroupFold()).collect())
    assert {part for part, good in _success(metrics).items() if good} == {"exporter", "splats"}
    assert "lazyobs_build_info" in {name for name, _ in metrics}
    assert not any(name.startswith(("lazyobs_prepares", "lazyobs_vmas", "lazyobs_kernel_info")) for name, _ in metrics)


def test_splats_that_cannot_be_read_cost_themselves_alone() -> None:
    def refuse() -> dict:
        raise PermissionError(13, "no")

    metrics = of_families(LazyobsCollector(Host(), CgroupFold(), splats=refuse).collect())
    assert [part for part, good in _success(metrics).items() if not good] == ["splats"]


def test_a_counter_that_is_taken_back_is_not_given_out_lower() -> None:
    class Back(Host):
        def read(self) -> Sample:
            sample = super().read()
            sample.exited["prepares"] = [101, 100, 103][self.steps - 1]
            return sample

    def read(steady: bool) -> list[float]:
        collector = LazyobsCollector(Back(), CgroupFold(), steady=steady)
        return [of_families(collector.collect())[series("lazyobs_exited_prepares_total")] for _ in range(3)]

    assert read(steady=True) == [101, 101, 103]
    assert read(steady=False) == [101, 100, 103]  # a recording's restart stays a restart
