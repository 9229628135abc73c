# SPDX-License-Identifier: MIT
"""The metrics of this machine's kernel, against a program whose counts are known."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lazyobs.exporter.cgroups import CgroupFold
from lazyobs.exporter.collector import LazyobsCollector
from lazyobs.model import Sample
from lazyobs.sources.open import open_live
from tests.exporter.metrics import Series, of_families, of_page, series

pytestmark = [pytest.mark.slow, pytest.mark.bpf]

ISLANDS = 211
ATTEMPTS = 200


class _Kept:
    """Keeps the last sample of a source."""

    def __init__(self) -> None:
        self._source = open_live(points=("slab", "process", "census"), keep_root=True).source
        self.last: Sample | None = None

    def read(self) -> Sample:
        self.last = self._source.read()
        return self.last

    def close(self) -> None:
        self._source.close()


@pytest.fixture
def kept(bpf: None) -> Iterator[_Kept]:
    source = _Kept()
    yield source
    source.close()


def test_totals_are_the_islands_exact_counts(kept: _Kept, islands: Callable) -> None:
    collector = LazyobsCollector(kept, CgroupFold())

    def collect() -> dict[Series, float]:
        return of_families(collector.collect())

    workload = islands(ISLANDS)
    prepares, allocs = "lazyobs_prepares_total", "lazyobs_anon_vma_allocs_total"
    # Only the first touch of a program counts, so each attempt has a new one. What others do meanwhile only adds.
    least: dict[str, int] = {}
    for _ in range(ATTEMPTS):
        workload.end()
        workload = islands(ISLANDS)
        before = collect()
        workload.tell("touch")
        after = collect()
        process = next(process for process in kept.last.processes if process.pid == workload.pid)  # type: ignore[union-attr]
        assert process.counts["prepares"] >= ISLANDS
        for name in (prepares, allocs):
            growth = int(after[series(name)] - before[series(name)])
            assert growth >= ISLANDS
            least[name] = min(growth, least.get(name, growth))
        if set(least.values()) == {ISLANDS}:
            break
    workload.end()
    assert least == {prepares: ISLANDS, allocs: ISLANDS}


def test_fork_chains_are_exact(kept: _Kept, islands: Callable) -> None:
    collector = LazyobsCollector(kept, CgroupFold())
    workload = islands(ISLANDS)
    workload.tell("touch")
    own = next(process.census["vmas_anon"] for process in kept.read().processes if process.pid == workload.pid)

    least: dict[str, int] = {}
    for _ in range(60):
        before = of_families(collector.collect())
        workload.tell("fork")
        after = of_families(collector.collect())
        workload.tell("reap")
        for name in ("lazyobs_forks_total", "lazyobs_fork_chains_total"):
            growth = int(after[series(name)] - before[series(name)])
            least[name] = min(growth, least.get(name, growth))
        if least["lazyobs_forks_total"] == 1:
            break
    workload.end()
    assert least["lazyobs_forks_total"] == 1
    # Every anonymous VMA is cloned once: the first fork finds them all with one chain.
    assert own is not None and least["lazyobs_fork_chains_total"] >= own >= ISLANDS


def test_counters_never_go_backwards_whatever_exits(bpf: None, export: Callable, islands: Callable) -> None:
    exporter = export()
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            workload = islands(23)
            workload.tell("touch")
            workload.tell("fork")
            workload.tell("reap")
            workload.end()

    workers = [threading.Thread(target=churn) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        pages = [of_page(exporter.get()) for _ in range(40)]
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    counters = [key for key in pages[0] if key[0].endswith(("_total", "_bucket", "_count"))]
    assert len(counters) >= 20
    for earlier, later in itertools.pairwise(pages):
        assert [key for key in counters if later[key] < earlier[key]] == []
    assert pages[-1][series("lazyobs_exited_prepares_total")] > pages[0][series("lazyobs_exited_prepares_total")]
    assert all(value == 1 for key, value in pages[-1].items() if key[0] == "lazyobs_scrape_collector_success")
    assert all(len(page) <= 450 for page in pages)


def test_the_exited_part_is_in_the_totals(kept: _Kept, islands: Callable) -> None:
    collector = LazyobsCollector(kept, CgroupFold())
    workload = islands(ISLANDS)
    workload.tell("touch")
    workload.end()
    metrics = of_families(collector.collect())
    exited = metrics[series("lazyobs_exited_prepares_total")]
    assert ISLANDS <= exited <= metrics[series("lazyobs_prepares_total")]


def test_a_restart_shows(bpf: None, export: Callable, islands: Callable) -> None:
    """A count that ended with its exporter is not taken for one that stands still: counters begin anew, and say when."""
    attached, prepares = series("lazyobs_attach_time_seconds"), series("lazyobs_prepares_total")
    first = export()
    workload = islands(10007)
    workload.tell("touch")
    workload.end()
    before = of_page(first.get())
    assert before[prepares] >= 10007
    os.kill(first.pid, signal.SIGTERM)
    stopped = time.time()
    after = of_page(export().get())
    assert before[attached] < stopped < after[attached] <= time.time()
    assert after[prepares] < before[prepares]


def test_no_cpu_between_scrapes(bpf: None, export: Callable) -> None:
    """schedstat counts how often the process was put on a CPU: between two scrapes, only to answer the second."""
    exporter = export()
    exporter.get()
    tasks = Path(f"/proc/{exporter.pid}/task")
    deadline = time.monotonic() + 10
    while len(os.listdir(tasks)) > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert os.listdir(tasks) == [str(exporter.pid)]
    time.sleep(0.2)

    def slices() -> tuple[int, int]:
        ran, _waited, times = (tasks / str(exporter.pid) / "schedstat").read_text().split()
        return int(ran), int(times)

    before = slices()
    time.sleep(2)
    assert slices() == before
