# SPDX-License-Identifier: MIT
"""The page that a scrape gets, made once for all requests of the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from lazyobs.exporter.negotiation import OPENMETRICS

# After a reading, none begins for this many times as long as it took: readings take a fifth of one CPU at most.
_REST = 4.0


class PageError(Exception):
    """There is no page; the message says why."""


class Metrics(Collector):
    """Those of one reading, for the encoders, which take a collector."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class Page:
    """Callers of ``text`` that come while a reading is due or under way share the next one.

    No caller gets numbers that were read before it called. ``error`` is None when the last reading succeeded.
    """

    def __init__(
        self, collector: Collector, patience: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(collector)
        self._patience, self._clock = patience, clock
        self._turn = threading.Condition()
        self._reading = False
        self._begun = self._done = 0  # numbers of readings
        self._rest_until = 0.0
        self._collected = Metrics([])
        self._pages: dict[bool, bytes] = {}
        self.error: str | None = "nothing was read yet"

    @property
    def readings(self) -> int:
        return self._done

    def text(self, openmetrics: bool = False) -> bytes:
        """The page in OpenMetrics or in Prometheus' own text form. PageError where there is none in time."""
        deadline = self._clock() + self._patience
        with self._turn:
            wanted = self._begun + 1  # a reading under way began before this call
            while self._done < wanted:
                now = self._clock()
                if now >= deadline:
                    raise PageError(f"no reading within {self._patience:g} s")
                if self._reading:
                    self._turn.wait(deadline - now)
                elif now < self._rest_until:
                    self._turn.wait(min(self._rest_until, deadline) - now)
                else:
                    self._read()
            if self.error is not None:
                raise PageError(self.error)
            if openmetrics not in self._pages:
                encode, _ = choose_encoder(OPENMETRICS if openmetrics else "")
                self._pages[openmetrics] = encode(self._collected)
            return self._pages[openmetrics]

    def _read(self) -> None:
        """One reading; the lock is released meanwhile."""
        self._reading = True
        self._begun += 1
        started = self._clock()
        self._turn.release()
        error, metrics = None, []
        try:
            metrics = list(self._registry.collect())
        except Exception as problem:  # for the waiting callers, and for /readyz
            error = f"{type(problem).__name__}: {problem}"
        finally:
            self._turn.acquire()
            self._reading = False
            self._done = self._begun
            self._rest_until = self._clock() + _REST * (self._clock() - started)
            self._collected, self._pages, self.error = Metrics(metrics), {}, error
            self._turn.notify_all()


def content_type(openmetrics: bool) -> str:
    return str(choose_encoder(OPENMETRICS if openmetrics else "")[1])
