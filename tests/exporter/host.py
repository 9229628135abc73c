# SPDX-License-Identifier: MIT
"""A host whose every number is known: a source of full samples for tests, with a clock of its own."""

from __future__ import annotations

import time

from lazyobs.model import (
    COUNTERS,
    HEALTH_NAMES,
    HISTOGRAM_BUCKETS,
    HISTOGRAMS,
    Kernel,
    Process,
    Sample,
    Slab,
)
from lazyobs.sources.open import points_but

# Those the exporter attaches.
POINTS = points_but("census_vmas")


def counter_step(index: int) -> int:
    """How much counter number ``index`` (and each of its parts) grows in a step."""
    return 23 + 2 * index


class Host:
    """``steps`` samples were read, or seconds have passed where ``real_time``; counters grow with them."""

    def __init__(
        self,
        release: str = "6.12.1-test",
        lazy: bool | None = True,
        processes: int = 23,
        cgroups: int = 7,
        scale: int = 1,
        real_time: bool = False,
    ) -> None:
        self.release, self.lazy, self.scale = release, lazy, scale
        self.processes, self.cgroups = processes, cgroups
        self.steps = 0
        self._began = time.monotonic() if real_time else None
        self.closed = False

    def read(self) -> Sample:
        self.steps = self.steps + 1 if self._began is None else 1 + int((time.monotonic() - self._began) * 10)
        totals: dict[str, object] = {}
        for index, counter in enumerate(COUNTERS):
            step = counter_step(index) * self.scale * self.steps
            totals[counter.name] = step * (len(counter.values) or 1)
            if counter.split:
                totals[counter.split_key] = dict.fromkeys(counter.values, step)
        census = {
            "vmas": 1009, "vmas_anon": 503, "vmas_lazy": 211 if self.lazy else 0, "vmas_private": 101,
            "vmas_shared": 191 if self.lazy else 402, "chains_held": 811, "anon_vmas_held": 463, "vmas_copied": 307,
            "saved_bytes": 211 * 168, "savable_bytes": 101 * 168,
            "savable_low_bytes": 101 * 104, "savable_high_bytes": 103 * 168,
        }  # fmt: skip
        return Sample(
            time=time.time(),
            elapsed=1.0,
            kernel=Kernel(self.release, "lab" if self.lazy is not None else "mainline", self.lazy),
            tiers=dict.fromkeys(POINTS, "fentry") | {"census": "iter", "slab": "tracepoint"},
            totals=totals,
            rates={},
            exited={counter.name: self.steps for counter in COUNTERS},
            census=dict(census),
            slabs=[
                Slab("anon_vma", 613 * self.scale, 700 * self.scale, 104, [], 390),
                Slab("anon_vma_chain", 8112, 9000, 64, ["eventpoll_pwq", "fs_cache"], 640),
                Slab("vm_area_struct", 11703, 12000, 192, [], 480),
            ],
            processes=[self._process(number) for number in range(self.processes)],
            histograms={series: self._histogram() for kind in HISTOGRAMS for series in kind.series()},
            health=dict.fromkeys(HEALTH_NAMES, 0)
            | {"process_map_entries": self.processes, "process_map_capacity": 16384, "bpf_runs": 1e6 * self.steps,
               "bpf_seconds": 0.01 * self.steps, "self_cpu_seconds": 0.002 * self.steps, "self_rss_bytes": 30e6},
            null_reasons={},
        )  # fmt: skip

    def _process(self, number: int) -> Process:
        return Process(
            pid=1000 + number,
            start_time=1.0,
            user="nobody",
            comm=f"worker-{number}",
            cgroup=f"/system.slice/unit-{number % self.cgroups}.service/worker-{number}",
            census={
                "vmas": 10, "vmas_anon": 7, "vmas_lazy": 2, "vmas_private": 2, "vmas_shared": 3,
                "chains_held": 11, "anon_vmas_held": 5, "vmas_copied": 3, "saved_bytes": 336 + number % self.cgroups, "savable_bytes": 336,
                "savable_low_bytes": 208, "savable_high_bytes": 336,
            },
            counts={counter.name: number for counter in COUNTERS},
        )  # fmt: skip

    def _histogram(self) -> dict[str, object]:
        """One observation a step in every slot: cumulative count of slot i is (i + 1) x steps."""
        buckets = [
            [None if slot == HISTOGRAM_BUCKETS - 1 else float(1 << slot), (slot + 1) * self.steps]
            for slot in range(HISTOGRAM_BUCKETS)
        ]
        return {"buckets": buckets, "sum": 0.5 * self.steps, "count": HISTOGRAM_BUCKETS * self.steps}

    def close(self) -> None:
        self.closed = True
