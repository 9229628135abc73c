# SPDX-License-Identifier: MIT
"""The samples of the last minutes, to step back through, in bounded memory.

Most processes do nothing between two samples, and both samples then share one row object. A sample weighs what it
does not share; the oldest samples are dropped when the total weight or the time span exceeds its limit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from lazyobs.model import Sample

SECONDS = 600.0
# A row that differs weighs 1 (about 2 KB: three tables of numbers), a histogram 3, the rest of a sample 8.
MOST_WEIGHT = 12_000


class History(Sequence[Sample]):
    """Samples, oldest first. Positions shift when the oldest is dropped; ``dropped`` counts how often."""

    def __init__(self, seconds: float = SECONDS, most_weight: int = MOST_WEIGHT) -> None:
        self._seconds, self._most = seconds, most_weight
        self._samples: deque[tuple[Sample, int]] = deque()
        self.weight = 0
        self.dropped = 0

    def add(self, sample: Sample) -> None:
        """Appends a sample. Parts of it that equal the sample before are replaced by that sample's."""
        weight = 8 + (self._share(self._samples[-1][0], sample) if self._samples else _whole_weight(sample))
        self._samples.append((sample, weight))
        self.weight += weight
        while len(self._samples) > 1 and (self.weight > self._most or self._is_old(sample)):
            _, dropped = self._samples.popleft()
            self.weight -= dropped
            self.dropped += 1

    def _is_old(self, newest: Sample) -> bool:
        return newest.time - self._samples[0][0].time > self._seconds

    @staticmethod
    def _share(before: Sample, sample: Sample) -> int:
        """Makes equal parts one object; returns the weight of the others."""
        weight = 0
        known = {process.pid: process for process in before.processes}
        processes = sample.processes
        for index, process in enumerate(processes):
            old = known.get(process.pid)
            if old is process:
                continue
            if old is not None and old == process:
                processes[index] = old
            else:
                weight += 1
        for name, histogram in sample.histograms.items():
            if histogram is not None:
                if before.histograms.get(name) == histogram:
                    sample.histograms[name] = before.histograms[name]
                else:
                    weight += 3
        for part in ("tiers", "null_reasons", "census", "slabs", "failed", "kernel"):
            if getattr(before, part) == getattr(sample, part):
                setattr(sample, part, getattr(before, part))
        return weight

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self._samples[index][0]


def _whole_weight(sample: Sample) -> int:
    return len(sample.processes) + 3 * sum(1 for histogram in sample.histograms.values() if histogram)
