# SPDX-License-Identifier: MIT
"""Orphans in the exporter: read slowly, and null where they cannot be counted."""

from __future__ import annotations

import pytest

from lazyobs.exporter.cgroups import CgroupFold
from lazyobs.exporter.collector import LazyobsCollector
from lazyobs.exporter.orphans import EVERY, slow, slowly
from lazyobs.sources.orphans import OrphanFiles, Orphans
from tests.exporter.host import Host
from tests.exporter.metrics import of_families, series
from tests.harness import skip


def _found(*orphans: Orphans) -> dict:
    return of_families(LazyobsCollector(Host(), CgroupFold(), orphans=lambda: list(orphans)).collect())


def test_they_are_gauges_by_cache() -> None:
    metrics = _found(Orphans("anon_vma", orphans=23, spread=3), Orphans("anon_vma_chain", orphans=0, spread=101))
    for cache, orphans, spread in (("anon_vma", 23, 3), ("anon_vma_chain", 0, 101)):
        assert metrics[series("lazyobs_orphan_objects", cache=cache)] == orphans
        assert metrics[series("lazyobs_orphan_objects_spread", cache=cache)] == spread


def test_what_is_not_known_makes_no_series() -> None:
    metrics = _found(Orphans("anon_vma", orphans=23, spread=3), Orphans("anon_vma_chain", reason="merged"))
    assert series("lazyobs_orphan_objects", cache="anon_vma_chain") not in metrics
    assert not any(name.startswith("lazyobs_orphan") for name, _ in _found())


def test_a_failure_costs_orphans_alone(capfd: pytest.CaptureFixture[str]) -> None:
    def read() -> list[Orphans]:
        raise OSError(5, "the iterator is gone")

    metrics = of_families(LazyobsCollector(Host(), CgroupFold(), orphans=read).collect())
    assert metrics[series("lazyobs_scrape_collector_success", collector="orphans")] == 0
    assert metrics[series("lazyobs_prepares_total")] == 23
    assert "scraping orphans" in capfd.readouterr().err


def test_a_scrape_takes_new_readings_when_the_last_are_old() -> None:
    now, taken = [1000.0], []

    def read() -> list[Orphans]:
        taken.append(now[0])
        if len(taken) == 3:
            raise OSError(5, "for once")
        return [Orphans("anon_vma", orphans=len(taken))]

    orphans = slow(read, clock=lambda: now[0])
    for passed, count in ((0, 1), (15, 1), (EVERY - 16, 1), (1, 2), (15, 2)):
        now[0] += passed
        assert [one.orphans for one in orphans()] == [count]
    now[0] += EVERY
    with pytest.raises(OSError):
        orphans()
    assert [one.orphans for one in orphans()] == [4], "the next scrape tries again"


def test_here_they_are_counted(live) -> None:
    files = OrphanFiles()
    source = live(rates=False)
    anon_vma, chain = slowly(source, files)()
    if anon_vma.reason:
        skip("kernel", anon_vma.reason)
    assert anon_vma.orphans is not None and 0 <= anon_vma.orphans < 5003
    assert chain.orphans is not None or chain.reason
    files.close()
