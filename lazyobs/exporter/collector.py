# SPDX-License-Identifier: MIT
"""A prometheus-client collector over any source: one reading per scrape; a part that fails is left out alone."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from lazyobs.exporter.cgroups import CgroupFold
from lazyobs.exporter.families import COUNTER, FAMILIES, HISTOGRAM, PARTS, PREFIX, SUCCESS, Family, Scrape
from lazyobs.kernel import taint
from lazyobs.model import CENSUS_NAMES, Kernel, Sample
from lazyobs.sources import budget
from lazyobs.sources.orphans import Orphans
from lazyobs.sources.source import SampleSource
from lazyobs.text import printable, say

_WITHOUT_SOURCE = {"exporter", "splats"}
_KINDS: dict[str, Callable[..., Metric]] = {COUNTER: CounterMetricFamily, HISTOGRAM: HistogramMetricFamily}


def kernel_splats() -> dict[str, Any]:
    """Taint flags, warnings and oopses of the running kernel. OSError where /proc/sys or /sys is missing."""
    return {"tainted": taint.tainted(), "warnings": taint.warnings(), "oopses": taint.oopses()}


class LazyobsCollector(Collector):
    """``splats`` is None for a source that is not this kernel. ``itself`` returns the exporter's numbers about itself.

    ``orphans`` returns those of each cache, as often as it is called; none where they are not read.
    ``steady``: a counter never falls (the source subtracts a prepare that lost its race once it knows of it).
    """

    def __init__(
        self,
        source: SampleSource,
        fold: CgroupFold,
        splats: Callable[[], dict[str, Any]] | None = kernel_splats,
        itself: Callable[[], dict[str, float | None]] = dict,
        steady: bool = True,
        orphans: Callable[[], list[Orphans]] = list,
    ) -> None:
        self._source, self._fold, self._splats, self._itself, self._orphans = source, fold, splats, itself, orphans
        self._highest: dict[tuple[str, ...], float] | None = {} if steady else None
        self._reported: set[str] = set()

    def describe(self) -> Iterator[Metric]:
        """The names, so that registering reads nothing."""
        for family in FAMILIES:
            yield _empty(family)
        yield GaugeMetricFamily(SUCCESS[0], SUCCESS[1], labels=[SUCCESS[2]])

    def collect(self) -> Iterator[Metric]:
        started = time.perf_counter()
        try:
            sample = self._source.read()
            failed = set(sample.failed)
        except Exception as error:
            self._report("source", error)
            sample, failed = unknown_sample(), set(PARTS) - _WITHOUT_SOURCE
        # The reason of the whole census: there is none, or it covers other processes than the counters.
        shed: set[str] = set()
        if budget.leaves_out_census(sample):
            shed = {"census", "cgroups", "processes"}
        elif "census" in failed or "census" in sample.null_reasons:
            failed |= {"census", "cgroups", "processes"}
        itself = self._itself() | {"scrape_read_seconds": time.perf_counter() - started}
        scrape = Scrape(
            sample,
            functools.cache(lambda: self._fold.fold(sample.processes)),
            functools.cache(self._splats) if self._splats else _no_splats,
            itself,
            functools.cache(self._orphans),
        )
        yield from self._families(scrape, failed, shed)
        yield self._success(failed)

    def _families(self, scrape: Scrape, failed: set[str], shed: set[str]) -> Iterator[Metric]:
        """Families of the parts that can be read; the names of the other parts are added to ``failed``. Those that are
        ``shed`` are left out, and have not failed."""
        found: dict[str, list[Metric]] = {}
        for family in FAMILIES:
            if family.part in failed or family.part in shed:
                continue
            try:
                found.setdefault(family.part, []).append(self._filled(family, scrape))
            except Exception as error:  # any error: the other parts are still served
                self._report(family.part, error)
                failed.add(family.part)
        for part, metrics in found.items():
            if part not in failed:
                yield from (metric for metric in metrics if metric.samples)

    def _filled(self, family: Family, scrape: Scrape) -> Metric:
        metric: Any = _empty(family)
        for raw, value in family.points(scrape):
            if value is None:
                continue
            labels = [printable(label) for label in raw]
            if family.kind == HISTOGRAM:
                metric.add_metric(labels, buckets=value[0], sum_value=value[1])
            elif family.kind == COUNTER:
                metric.add_metric(labels, self._steady((family.name, *labels), value))
            else:
                metric.add_metric(labels, value)
        return metric  # type: ignore[no-any-return]

    def _steady(self, series: tuple[str, ...], value: float) -> float:
        if self._highest is None:
            return value
        highest = self._highest[series] = max(value, self._highest.get(series, value))
        return highest

    @staticmethod
    def _success(failed: set[str]) -> Metric:
        metric = GaugeMetricFamily(SUCCESS[0], SUCCESS[1], labels=[SUCCESS[2]])
        for part in PARTS:
            metric.add_metric([part], 0 if part in failed else 1)
        return metric

    def _report(self, part: str, error: Exception) -> None:
        """Once per part: a line per scrape would only fill the log."""
        if part not in self._reported:
            self._reported.add(part)
            say(f"lazyobs: scraping {part}: {type(error).__name__}: {error}")


def _empty(family: Family) -> Metric:
    return _KINDS.get(family.kind, GaugeMetricFamily)(PREFIX + family.name, family.help, labels=family.labels)


def _no_splats() -> dict[str, Any]:
    return {"tainted": dict.fromkeys(taint.TAINTS), "warnings": None, "oopses": None}


def unknown_sample() -> Sample:
    """A sample in which no number is known."""
    kernel = Kernel("", "", None)
    return Sample(0.0, 0.0, kernel, {}, {}, {}, {}, dict.fromkeys(CENSUS_NAMES), [], [], {}, {}, {})
