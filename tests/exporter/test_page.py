# SPDX-License-Identifier: MIT
from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.registry import Collector

from lazyobs.exporter.cgroups import CgroupFold
from lazyobs.exporter.collector import LazyobsCollector
from lazyobs.exporter.page import Page, PageError, content_type
from tests.exporter.host import Host
from tests.exporter.metrics import of_page, series

_LONG = 20.0  # seconds: more than any of this takes, less than anybody waits


class _Counting(Collector):
    """Gives out the number of its reading; each waits for ``go``, but not for ever: a test that fails must end."""

    def __init__(self) -> None:
        self.readings = 0
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    def describe(self) -> list[Metric]:
        return [GaugeMetricFamily("reading", "")]

    def collect(self) -> Iterator[Metric]:
        self.readings += 1
        self.begun.release()
        assert self.go.acquire(timeout=_LONG)
        yield GaugeMetricFamily("reading", "", value=self.readings)


def test_who_comes_during_a_reading_shares_the_next_one() -> None:
    collector = _Counting()
    page = Page(collector)
    with ThreadPoolExecutor(24) as pool:
        first = pool.submit(page.text)
        try:
            assert collector.begun.acquire(timeout=_LONG)
            others = [pool.submit(page.text) for _ in range(23)]
            ends = time.monotonic() + _LONG
            while len(page._turn._waiters) < 23:  # type: ignore[attr-defined]
                assert time.monotonic() < ends and not any(other.done() for other in others)
                time.sleep(0.01)
        finally:
            collector.go.release(24)  # whatever failed: the pool waits for its threads
        assert of_page(first.result(_LONG))[series("reading")] == 1
        assert {of_page(other.result(_LONG))[series("reading")] for other in others} == {2}
    assert collector.readings == 2


def test_one_after_the_other_each_gets_its_own_reading() -> None:
    host = Host()
    page = Page(LazyobsCollector(host, CgroupFold()))
    found = [of_page(page.text())[series("lazyobs_prepares_total")] for _ in range(5)]
    assert found == [23, 46, 69, 92, 115]


def test_both_forms_are_of_one_reading_of_the_same_numbers() -> None:
    host = Host()
    page = Page(LazyobsCollector(host, CgroupFold()))
    text = of_page(page.text())
    openmetrics = {
        series(sample.name, **sample.labels): sample.value
        for family in parse_openmetrics(page.text(openmetrics=True).decode())
        for sample in family.samples
    }
    assert openmetrics.keys() == text.keys()
    assert openmetrics[series("lazyobs_prepares_total")] == 2 * text[series("lazyobs_prepares_total")]


def test_a_reading_that_hangs_is_told_in_time() -> None:
    collector = _Counting()
    page = Page(collector, patience=0.05)
    thread = threading.Thread(target=page.text, daemon=True)
    thread.start()
    try:
        assert collector.begun.acquire(timeout=_LONG)
        with pytest.raises(PageError, match="no reading within"):
            page.text()
    finally:
        collector.go.release()
        thread.join(_LONG)
    assert not thread.is_alive()


def test_an_error_is_told_and_passes() -> None:
    class Once(_Counting):
        def collect(self) -> Iterator[Metric]:
            self.readings += 1
            if self.readings == 1:
                raise ValueError("nonsense")
            yield GaugeMetricFamily("reading", "", value=self.readings)

    page = Page(Once())
    with pytest.raises(PageError, match="nonsense"):
        page.text()
    assert page.error is not None
    page.text()
    assert page.error is None


def test_content_types() -> None:
    assert "openmetrics" in content_type(True) and content_type(False).startswith("text/plain; version=0.0.4")
