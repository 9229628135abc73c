# SPDX-License-Identifier: MIT
"""Recordings whose truth is known: seeded, as Series. The noise is that of real machines, see NOISES."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazyobs.model import CENSUS_NAMES, COUNTER_NAMES, HEALTH_NAMES
from lazyobs.soak.series import Column, Distribution, Mark, Series

DAY = 86400.0
PROCESSES, VMAS_EACH, ANON_SHARE, OBJECTS_A_VMA = 50, 100, 0.5, 0.8  # 2,000 live anon_vmas
BOUNDS = np.array([2.0**slot * 1e-9 for slot in range(39)] + [np.inf])
LATENCIES = {"fork_seconds": 2e-4, "prepare_seconds": 6e-7, "rmap_walk_seconds{unmap}": 3e-6, "rmap_walk_seconds{migrate}": 5e-6}  # fmt: skip
CACHES = {"anon_vma": 120, "anon_vma_chain": 64, "vm_area_struct": 168}
BEGAN = 1_790_000_000.0
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Noise:
    """What a workload does that is no leak. Shares of the level; ``rho`` from barrier to barrier."""

    sd: float = 0.01  # of the objects that a VMA has
    rho: float = 0.0
    jitter: float = 0.01  # of the number of processes
    jitter_rho: float = 0.5
    day: float = 0.0  # amplitude of a day's wave in the workload
    bursts: float = 0.0  # share of the time in which there are twice as many processes
    wobble: float = 0.0  # one-sided: what a shrink leaves behind
    grows: float = 0.0  # share of the workload that comes on top in the whole time


NOISES = {
    "steady": Noise(),
    "autocorrelated 0.5": Noise(sd=0.02, rho=0.5, jitter_rho=0.9),
    "autocorrelated 0.9": Noise(sd=0.02, rho=0.9, jitter_rho=0.9),
    "diurnal": Noise(day=0.3, rho=0.3),
    "bursty": Noise(bursts=0.2, sd=0.02, rho=0.5),
    "wobbling slabs": Noise(wobble=0.05),
    "growing": Noise(grows=0.5, rho=0.3),
}


def autoregression(random: np.random.Generator, count: int, sd: float, rho: float) -> Column:
    """AR(1), stationary from its first value on, of standard deviation ``sd``."""
    steps = random.normal(0, sd * np.sqrt(1 - rho**2), count)
    steps[0] = random.normal(0, sd)
    for index in range(1, count):
        steps[index] += rho * steps[index - 1]
    return steps


def _bursts(random: np.random.Generator, count: int, share: float) -> Column:
    """0 or 1: a build that begins now and then and lasts some barriers."""
    state, states = False, np.zeros(count)
    for index in range(count):
        state = random.random() < (0.7 if state else 0.3 * share / max(1 - share, 1e-9))
        states[index] = state
    return states


def series(
    seed: int,
    minutes: float = 30.0,
    noise: Noise = NOISES["steady"],
    leak: float = 0.0,
    slower: float = 1.0,
    only: str = "",
    boot_sd: float = 0.01,
    barrier: float = 60.0,
    lazy: float = 0.0,
    **identity: Any,
) -> Series:
    """One boot. ``leak`` objects per second; latencies (or ``only`` one) ``slower`` times; ``lazy``: share of private
    VMAs that are.

    ``boot_sd`` is how much two boots of one kernel differ, as a share.
    """
    random = np.random.default_rng(seed)
    count = int(minutes * 60 / barrier) + 1
    elapsed = np.arange(float(count)) * barrier
    begin = random.uniform(0, DAY)
    load = 1 + noise.day * (np.sin(2 * np.pi * (begin + elapsed) / DAY) - np.sin(2 * np.pi * begin / DAY))
    load = load * (1 + autoregression(random, count, noise.jitter, noise.jitter_rho))
    load = load * (1 + _bursts(random, count, noise.bursts)) * (1 + noise.grows * elapsed / max(elapsed[-1], 1))
    processes = np.round(PROCESSES * load)
    vmas = np.round(processes * VMAS_EACH * (1 + autoregression(random, count, 0.005, 0.5)))
    anon = np.round(vmas * ANON_SHARE)
    private = np.round(anon * 0.4)
    lazies = np.round(private * lazy)
    ratio = OBJECTS_A_VMA * (1 + autoregression(random, count, noise.sd, noise.rho))
    live = np.round((anon - lazies) * ratio * 1.0)
    leaked = np.round(leak * elapsed)
    left = 1 + np.abs(random.normal(0, noise.wobble, (3, count))) if noise.wobble else np.ones((3, count))
    objects = {"anon_vma": live + leaked, "anon_vma_chain": np.round(live * 1.5) + leaked, "vm_area_struct": vmas + 211}
    time = BEGAN + elapsed
    samples: dict[str, Column] = {"time": time, "elapsed": np.full(count, barrier), "processes": processes}
    samples.update({name: np.full(count, np.nan) for name in COUNTER_NAMES})
    census = {
        "vmas": vmas,
        "vmas_anon": anon,
        "vmas_lazy": lazies,
        "vmas_private": private - lazies,
        "vmas_shared": anon - private,
        "saved_bytes": lazies * 184,
        "savable_bytes": (private - lazies) * 184,
    }
    samples.update({name: census.get(name, np.full(count, np.nan)) for name in CENSUS_NAMES})
    for kind, cache in (("anon_vma", "anon_vma"), ("chain", "anon_vma_chain")):
        made = np.round(np.cumsum(random.poisson(997, count)).astype(float))
        samples[f"{kind}_allocs"] = made
        samples[f"{kind}_frees"] = made - (objects[cache] - objects[cache][0])
    samples["forks"] = 7 * elapsed
    samples.update({"health_" + name: np.zeros(count) for name in HEALTH_NAMES})
    samples["health_self_cpu_seconds"] = 0.002 * elapsed
    samples["health_self_rss_bytes"] = np.full(count, 23e6)
    barriers = {"time": time, "vmas": vmas, "processes": processes}
    barriers.update({cache: np.round(objects[cache] * left[index]) for index, cache in enumerate(CACHES)})
    failing = random.normal(0.02, 0.02 * boot_sd)
    system = {
        "time": time,
        "kernel_tainted": np.zeros(count),
        "vmstat_pgscan_anon": 1009 * elapsed,
        "vmstat_pgsteal_anon": 1009 * elapsed * (1 - failing),
        "vmstat_pgmigrate_success": 101 * elapsed,
        "vmstat_pgmigrate_fail": 101 * elapsed * failing,
    }
    boot = np.exp(random.normal(0, boot_sd))
    distributions = {
        name: _distribution(
            random,
            seconds * (slower if only in ("", name) else 1.0) * boot * np.exp(random.normal(0, boot_sd / 3)),
            int(7 * elapsed[-1]),
        )
        for name, seconds in LATENCIES.items()
    }
    number = next(_numbers)
    totals = {"violations_by_invariant": {"promotion_once": 0, "ledger": 0}}
    kernel = {"release": "6.12.117", "profile": "lab", "lazy_enabled": lazy > 0}
    tiers = dict.fromkeys(("slab", "process", "prepare"), "fentry")
    return Series(
        name=f"boot-{number}",
        identity=identity_of(number, lazy > 0) | identity,
        interval=barrier,
        samples=samples,
        barriers=barriers,
        system=system,
        marks=[Mark(time[-1], "end", None, "ended")],
        distributions=distributions,
        object_bytes=dict(CACHES),
        first={"kernel": kernel, "totals": totals, "tiers": tiers, "null_reasons": {}},
        last={"kernel": kernel, "totals": totals, "tiers": tiers, "null_reasons": {}},
    )


def identity_of(number: int, lazy: bool | None) -> dict[str, Any]:
    """The identity block of a boot of the lab kernel."""
    return {
        "lazyobs": "0.1.0",
        "release": "6.12.117",
        "version": "#1 SMP",
        "build_id": "f10bf518907b522b",
        "config_sha256": "79cd3a5ccd342d7d",
        "cmdline": "slab_nomerge",
        "boot_id": f"boot-id-{number}",
        "clock_source": "tsc",
        "machine": "x86_64",
        "cpu": "some CPU",
        "cpus": 2,
        "memory_bytes": 2088222720,
        "swap": [],
        "profile": "lab",
        "lazy_enabled": lazy,
        "tainted": 0,
        "tiers": {"slab": "tracepoint", "process": "tracepoint", "prepare": "fentry"},
        "slab_merging": {cache: [] for cache in CACHES},
        "thp": {"enabled": "madvise"},
        "ksm": {"run": "0"},
        "sysctl": {"vm.swappiness": "60"},
        "not_recorded": {},
        "no_bpf": None,
    }


def _distribution(random: np.random.Generator, mean: float, count: int) -> Distribution:
    """Log-normal durations with a long tail: one in a thousand was preempted."""
    values = mean * np.exp(random.normal(-0.125, 0.5, max(count, 1)))
    late = random.random(len(values)) < 0.001
    values = np.where(late, values * random.uniform(3, 10, len(values)), values)
    counts = np.bincount(np.searchsorted(BOUNDS, values), minlength=len(BOUNDS)).astype(float)
    return Distribution(BOUNDS, counts, float(values.sum()))
