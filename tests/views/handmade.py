# SPDX-License-Identifier: MIT
"""Samples made by hand, for views that need no kernel."""

from __future__ import annotations

from lazyobs.model import CENSUS_NAMES, COUNTER_NAMES, COUNTERS, HEALTH_NAMES, Kernel, Process, Sample, Slab


def process(
    pid: int, comm: str = "prog", user: str = "root", cgroup: str | None = "/", **values: int | None
) -> Process:
    census = {name: values.get(name, 0) for name in CENSUS_NAMES}
    counts = {name: values.get(name, 0) for name in COUNTER_NAMES}
    rates = dict.fromkeys(COUNTER_NAMES, 0.0)
    return Process(pid, 1_000_000.25, user, comm, cgroup, census, counts, rates, values.get("ppid"))


def sample(*processes: Process, **health: float) -> Sample:
    totals = dict.fromkeys(COUNTER_NAMES, 0)
    divided = {counter.split_key: dict.fromkeys(counter.values, 0) for counter in COUNTERS if counter.split}
    return Sample(
        time=1_700_000_000.5,
        elapsed=1.0,
        kernel=Kernel("6.1.0-test", "mainline", None),
        tiers={"slab": "tracepoint", "census": "iter", "promotion": None},
        totals={**totals, **divided},
        rates=dict.fromkeys(COUNTER_NAMES, 0.0),
        exited=dict(totals),
        census=dict.fromkeys(CENSUS_NAMES, 0),
        slabs=[Slab("anon_vma_chain", 101, 211, 64, ["eventpoll_pwq"]), Slab("anon_vma", None, None, None)],
        processes=list(processes),
        histograms={},
        health={**dict.fromkeys(HEALTH_NAMES), "self_cpu_seconds": 0.25, **health},
        null_reasons={},
    )
