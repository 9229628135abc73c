# SPDX-License-Identifier: MIT
"""Samples with known numbers, as a source would give them."""

from __future__ import annotations

import random

from lazyobs.model import (
    CENSUS_NAMES,
    COUNTER_NAMES,
    COUNTERS,
    HEALTH_NAMES,
    HISTOGRAMS,
    LOCK_PATHS,
    Family,
    Fork,
    Kernel,
    Process,
    Program,
    Sample,
    Slab,
)

BEGIN = 1_800_000_000.25


def process(number: int, pid: int, chance: random.Random) -> Process:
    return Process(
        pid=pid,
        start_time=round(BEGIN - pid / 7, 2),
        user=chance.choice(["root", "nobody", "zoë"]),
        comm=chance.choice(["bash", "a b", "tab\there", "\x1b[31mred", "日本"]),
        cgroup=chance.choice([None, "/", "/system.slice/a.service"]),
        census={name: chance.randrange(10_007) for name in CENSUS_NAMES},
        counts={name: None if name == "promotions" else number * pid for name in COUNTER_NAMES},
        rates={name: None if name == "promotions" else round(chance.random() * 101, 3) for name in COUNTER_NAMES},
    )


def family(number: int, pid: int | None = 101, comm: str | None = "\x1b[31mred", waits: int = 23) -> Family:
    by_path = dict.fromkeys(LOCK_PATHS, 0) | {"fork": waits}
    start = None if pid is None else BEGIN - 5.25
    return Family(
        number, BEGIN - 1.5, pid, start, comm, "/a.slice", 3, 211, 307, waits, waits, 5_000_000, 1_009, by_path
    )


def fork(seconds: float, known: bool = True) -> Fork:
    split = (0.125, 0.0625, 3) if known else (None, None, None)
    parts = (0.03125, 0.09375) if known else (None, None)
    return Fork(BEGIN, 101, BEGIN - 5.25, "\x1b[31mred", 103, seconds, *split, 1009, 2003 if known else None, 7, *parts)


def sample(number: int, processes: int = 23) -> Sample:
    """Sample ``number`` of a made-up recording: the same for the same number."""
    chance = random.Random(number)
    totals: dict[str, object] = dict.fromkeys(COUNTER_NAMES, number * 101)
    rates: dict[str, object] = {name: round(chance.random() * 1009, 3) for name in COUNTER_NAMES}
    for counter in COUNTERS:
        if counter.split:
            totals[counter.split_key] = dict.fromkeys(counter.values, number)
            rates[counter.split_key] = dict.fromkeys(counter.values, 0.5)
    return Sample(
        time=BEGIN + number,
        elapsed=round(1 + chance.random() / 1000, 6),
        kernel=Kernel("6.1.0", "lab", bool(number % 2)),
        tiers={"slab": "tracepoint", "census": "iter", "promotion": None},
        totals=totals,
        rates=rates,
        exited=dict.fromkeys(COUNTER_NAMES, number),
        census=dict.fromkeys(CENSUS_NAMES, number * 1009),
        slabs=[Slab("anon_vma", 101 + number, 211, 104, []), Slab("anon_vma_chain", None, None, None, ["fs_cache"])],
        processes=[process(number, 2 + 3 * index, chance) for index in range(processes)],
        histograms={
            series: {"buckets": [[1e-09, 0], [2e-09, number], [None, number]], "sum": number * 1e-9, "count": number}
            if histogram.name != "fork_seconds"
            else None
            for histogram in HISTOGRAMS
            for series in histogram.series()
        },
        health={
            name: 0.125 if name.endswith("_seconds") else None if name == "ring_lost" else 3 for name in HEALTH_NAMES
        },
        null_reasons={"totals.promotions": "profile mainline: this kernel has no lazy anon_vmas"},
        slow_forks=[fork(0.25 + number), fork(0.125, known=False)],
        programs=[Program("\x1b[31mred", number + 3, 2, 5, 211, 7, 1, 101, 23)],
        families=[family(7, waits=number), family(3, pid=None, comm=None)],
    )
