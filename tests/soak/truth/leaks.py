# SPDX-License-Identifier: MIT
"""Recordings with a known truth about leaks, for the benchmark and the tests. Shapes are data: a row of SHAPES says how
the load moves, how many objects a VMA has over time, how the counts are disturbed, what leaks and when, and what is
missing. ``series(shape, seed)`` draws one recording of it.

This module shares no code with the judges (lazyobs.soak.report, leak, trend, ...) nor with tests/soak/simulate.py,
which was written together with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from lazyobs.model import CENSUS_NAMES, COUNTER_NAMES, HEALTH_NAMES
from lazyobs.soak.series import Mark, Series

Values = npt.NDArray[Any]
NONE, ONGOING, CHANGE = "no leak", "leak", "change"
_START = 1_780_000_000.0
_ANON = 2  # VMAs for each one with an anon_vma
_EACH = 97  # VMAs of a process
_CHAINS = 1.5  # for each anon_vma
_EACH_CACHE = {"anon_vma": 1.0, "anon_vma_chain": _CHAINS, "vm_area_struct": 2.5}  # objects for each anon_vma
_DAY = 86400.0


@dataclass(frozen=True)
class Shape:
    """``objects``: anon_vmas that VMAs hold at the beginning. Shares are of the recording's length, sizes of the level."""

    name: str
    minutes: float = 30.0
    barrier: float = 60.0
    objects: int = 2000
    # counts: standard deviation and lag-1 correlation of the objects that a VMA has
    noise: str = "white"  # white, ar, drift, heavy, quantised
    sd: float = 0.01
    rho: float = 0.0
    left: float = 0.0  # one-sided: what a shrink leaves behind
    census: float = 0.005  # error of the number of VMAs
    # load: number of processes over time
    load: str = "steady"  # steady, ramp, diurnal, sawtooth, bursts, bulge, level, walk
    load_size: float = 0.0
    # objects for each VMA over time
    ratio: str = "steady"  # steady, saturating, step, diurnal, sawtooth, settling, ramp, stairs, logistic, walk
    ratio_size: float = 0.0
    ratio_seconds: float = 0.0  # time constant or period
    ratio_at: float = 0.5  # share at which a step comes
    # what leaks: at a rate (objects/s), all at once, or in many small steps between two shares of the recording
    rate: float = 0.0
    lost_at_once: float = 0.0
    begin: float = 0.0
    end: float = 1.0
    steps: int = 0
    pauses: int = 0  # so many times the leak stops for as long as it ran
    curve: float = 1.0  # exponent of its course: 2 speeds up, 0.5 slows down
    by_load: bool = False  # at a rate that moves with the load, as a leak in fork does
    where: tuple[str, ...] = ("anon_vma", "anon_vma_chain")  # the caches it leaks from
    # what is missing
    merged: bool = False  # no cache but vm_area_struct has a slab of its own
    barriers_until: float = 1.0
    unknown: float = 0.0  # share of the barrier counts that are null
    no_counts: tuple[float, float] = (0.0, 0.0)  # shares between which barrier counts are null
    no_census: tuple[float, float] = (0.0, 0.0)  # the same of the census

    @property
    def seconds(self) -> float:
        return self.minutes * 60

    def lost(self) -> float:
        """Objects by the end."""
        return self.lost_at_once + self.rate * (self.end - self.begin) * self.seconds

    def must_not_pass(self) -> bool:
        """Whether 1 % of the live objects or 500, whichever is more, were lost by the end."""
        each = max(_EACH_CACHE[cache] for cache in self.where)
        return self.lost() >= max(500.0, 0.01 * self.objects * each * (1 + max(self.load_size, 0.0)))

    def must_not_fail(self) -> bool:
        return self.lost() == 0


def _ar(random: np.random.Generator, count: int, sd: float, rho: float) -> Values:
    steps = random.normal(0, sd * np.sqrt(1 - rho**2), count)
    steps[0] = random.normal(0, sd)
    return np.asarray(lfilter([1.0], [1.0, -rho], steps))


def _noise(random: np.random.Generator, count: int, shape: Shape) -> Values:
    match shape.noise:
        case "white" | "quantised":
            return random.normal(0, shape.sd, count)
        case "ar":
            return _ar(random, count, shape.sd, shape.rho)
        case "heavy":
            return np.clip(shape.sd * random.standard_t(2.2, count) / 2, -0.5, 0.5)
        case "drift":  # a random walk between walls at three standard deviations, with white noise on it
            walk = np.cumsum(random.normal(0, shape.sd / np.sqrt(count / 6), count)) + random.normal(0, shape.sd)
            wall = 3 * shape.sd
            folded = np.abs((walk + wall) % (4 * wall) - 2 * wall) - wall
            return folded + random.normal(0, shape.sd / 4, count)
    raise ValueError(shape.noise)


def _moved(kind: str, size: float, elapsed: Values, random: np.random.Generator, period: float, at: float) -> Values:
    """Factor over time, 1 at rest."""
    share = elapsed / elapsed[-1]
    phase = random.random()
    match kind:
        case "steady":
            return np.ones(len(elapsed))
        case "ramp":
            return 1 + size * share
        case "stairs":
            return 1 + size * np.floor(share * 3.99) / 3
        case "logistic":
            return 1 + size / (1 + np.exp(-(share - at) * elapsed[-1] / period))
        case "diurnal":
            return 1 + size * np.sin(2 * np.pi * (elapsed / (period or _DAY) + phase))
        case "sawtooth":
            return 1 + size * ((elapsed / (period or 2700.0) + phase) % 1.0)
        case "walk":
            steps = np.cumsum(random.normal(0, size / np.sqrt(len(elapsed)), len(elapsed)))
            return np.exp(np.clip(steps, -1.5, 1.5))
        case "bulge":
            return 1 + size * np.sin(np.pi * share) ** 2
        case "level" | "step":
            return 1 + size * (share >= at)
        case "saturating":
            return 1 + size * (1 - np.exp(-elapsed / period))
        case "settling":
            return 1 + size * np.exp(-elapsed / period)
        case "bursts":
            gate, active = np.zeros(len(elapsed)), False
            for index in range(len(elapsed)):
                active = random.random() < (0.7 if active else 0.08)
                gate[index] = active
            return 1 + size * gate
    raise ValueError(kind)


def _leaked(shape: Shape, elapsed: Values, load: Values) -> Values:
    share = elapsed / shape.seconds
    if shape.lost_at_once:
        return np.where(share >= shape.begin, shape.lost_at_once, 0.0)
    width = max(shape.end - shape.begin, 1e-9)
    part = np.clip((share - shape.begin) / width, 0.0, 1.0)
    if shape.by_load:
        passed = np.cumsum(load * ((share > shape.begin) & (share <= shape.end)))
        part = passed / max(float(passed[-1]), 1e-9)
    if shape.steps:
        part = np.floor(part * shape.steps) / shape.steps
    if shape.pauses:
        places = np.linspace(0, 1, 2 * shape.pauses + 2)
        part = np.interp(part, places, np.repeat(np.linspace(0, 1, shape.pauses + 2), 2)[1:-1])
    return np.round(part**shape.curve * shape.lost())


def series(shape: Shape, seed: int) -> Series:
    """One recording of it; samples are taken when barriers are."""
    random = np.random.default_rng([seed, sum(map(ord, shape.name))])
    count = round(shape.seconds / shape.barrier) + 1
    elapsed = np.arange(count) * shape.barrier
    load = _moved(shape.load, shape.load_size, elapsed, random, 0.0, 0.6) * (1 + _ar(random, count, 0.01, 0.7))
    ratio = _moved(shape.ratio, shape.ratio_size, elapsed, random, shape.ratio_seconds, shape.ratio_at)
    each = 0.8  # anon_vmas for each VMA with one, at rest
    anon = shape.objects / each * load
    seen = anon * (1 + random.normal(0, shape.census, count))
    held = anon * each * ratio * (1 + _noise(random, count, shape))
    if shape.noise == "quantised":
        held = np.round(held / 32) * 32
    leaked = _leaked(shape, elapsed, load)
    live = {
        "anon_vma": held,
        "anon_vma_chain": held * _CHAINS,
        "vm_area_struct": np.round(anon * _ANON) + 223,
    }
    live = {cache: np.round(values + leaked * (cache in shape.where)) for cache, values in live.items()}
    vmas = np.round(seen * _ANON)
    processes = np.maximum(np.round(anon * _ANON / _EACH), 1)
    time = _START + elapsed + random.uniform(0, _DAY)
    private = np.round(seen * 0.4)
    samples = {name: np.full(count, np.nan) for name in (*COUNTER_NAMES, *CENSUS_NAMES)}
    samples |= {"time": time, "elapsed": np.full(count, shape.barrier), "processes": processes}
    samples |= {"vmas": vmas, "vmas_anon": np.round(seen), "vmas_lazy": np.zeros(count), "vmas_private": private}
    samples |= {"vmas_shared": np.round(seen) - private, "saved_bytes": np.zeros(count), "savable_bytes": private * 184}
    for counter, cache in (("anon_vma", "anon_vma"), ("chain", "anon_vma_chain")):
        made = np.cumsum(random.poisson(1009, count)).astype(float)
        samples[f"{counter}_allocs"] = made
        samples[f"{counter}_frees"] = made - live[cache] + live[cache][0]
    samples["forks"] = np.cumsum(random.poisson(5 * shape.barrier * load))
    samples |= {f"health_{name}": np.zeros(count) for name in HEALTH_NAMES}
    samples["health_self_cpu_seconds"] = 0.003 * elapsed
    barriers = {"time": time.copy(), "vmas": vmas.copy(), "processes": processes.copy()}
    for cache, values in live.items():
        left = 1 + np.abs(random.normal(0, shape.left, count)) if shape.left else 1.0
        barriers[cache] = np.round(values * left)
        if shape.merged and cache != "vm_area_struct":
            barriers[cache] = np.full(count, np.nan)
        elif shape.unknown:
            barriers[cache][random.random(count) < shape.unknown] = np.nan
        barriers[cache][_within(shape.no_counts, elapsed)] = np.nan
    for name in ("vmas", *CENSUS_NAMES):
        samples[name][_within(shape.no_census, elapsed)] = np.nan
    kept = elapsed <= shape.barriers_until * shape.seconds
    return envelope(shape.name, seed, shape.barrier, samples, {name: values[kept] for name, values in barriers.items()})


def _within(shares: tuple[float, float], elapsed: Values) -> Values:
    share = elapsed / elapsed[-1]
    return np.asarray((share > shares[0]) & (share <= shares[1]))


def envelope(name: str, seed: int, interval: float, samples: dict[str, Values], barriers: dict[str, Values]) -> Series:
    """A whole, healthy recording around the columns that matter here."""
    time = samples["time"]
    facts: dict[str, Any] = {
        "kernel": {"release": "6.18.0", "profile": "mainline", "lazy_enabled": None},
        "totals": {"violations_by_invariant": {"ledger": 0}},
        "tiers": {"slab": "tracepoint", "census": "iter"},
        "null_reasons": {},
    }
    return Series(
        name=f"{name}-{seed}",
        identity={
            "boot_id": f"truth-{name}-{seed}", "release": "6.18.0", "profile": "mainline", "lazy_enabled": None,
            "cpus": 2, "tainted": 0, "slab_merging": {}, "not_recorded": {}, "no_bpf": None,
        },
        interval=interval,
        samples=samples,
        barriers=barriers,
        system={"time": time.copy(), "kernel_tainted": np.zeros(len(time))},
        marks=[Mark(float(time[-1]), "end", None, "ended")],
        object_bytes={"anon_vma": 104, "anon_vma_chain": 64, "vm_area_struct": 176},
        first=facts,
        last=facts,
    )  # fmt: skip


_SLOW: dict[str, Any] = {"minutes": 480.0}
_DAYS: dict[str, Any] = {"minutes": 1440.0, "barrier": 120.0}
_WEEK: dict[str, Any] = {"minutes": 10080.0, "barrier": 600.0}
_RED: dict[str, Any] = {"noise": "ar", "sd": 0.02}

# No leak: never FAIL. What is steady and long enough may pass.
QUIET = (
    Shape("white, 30 min"),
    Shape("white, 8 h", **_SLOW),
    Shape("white, 7 days", **_WEEK),
    Shape("20 barriers", barrier=95.0),
    Shape("AR .5, 30 min", rho=0.5, **_RED),
    Shape("AR .95, 30 min", rho=0.95, **_RED),
    Shape("AR .95, 8 h", rho=0.95, **_RED, **_SLOW),
    Shape("bounded drift of 5 %, 30 min", noise="drift", sd=0.05),
    Shape("bounded drift of 5 %, 8 h", noise="drift", sd=0.05, **_SLOW),
    Shape("bounded drift of 15 %, 24 h", noise="drift", sd=0.15, **_DAYS),
    Shape("heavy tails, 30 min", noise="heavy", sd=0.03),
    Shape("heavy tails, 8 h", noise="heavy", sd=0.03, **_SLOW),
    Shape("quantised, 200 objects", noise="quantised", objects=200, sd=0.03),
    Shape("shrinks leave 5 % behind", left=0.05),
    Shape("24,000 objects, AR .5, 30 min", objects=24_000, rho=0.5, **_RED),
    Shape("200,000 objects, 8 h", objects=200_000, **_SLOW),
    Shape("load +50 % in 30 min", load="ramp", load_size=0.5),
    Shape("load +90 % in 8 h", load="ramp", load_size=0.9, **_SLOW),
    Shape("load -60 % in 8 h", load="ramp", load_size=-0.6, **_SLOW),
    Shape("load diurnal 40 %, 24 h", load="diurnal", load_size=0.4, **_DAYS),
    Shape("load in bursts", load="bursts", load_size=1.0, rho=0.5, **_RED),
    Shape("load sawtooth 45 min, 8 h", load="sawtooth", load_size=0.7, **_SLOW),
    Shape("load grows and shrinks", load="bulge", load_size=0.8, **_SLOW),
    Shape("load doubles at 60 %", load="level", load_size=0.9),
    Shape("merged, load +10 %", load="ramp", load_size=0.1, merged=True, census=0.01),
    Shape("merged, load +50 %", load="ramp", load_size=0.5, merged=True, census=0.01),
    Shape("merged, load +50 %, 8 h", load="ramp", load_size=0.5, merged=True, census=0.01, **_SLOW),
    Shape("merged, load +90 %, census 3 %", load="ramp", load_size=0.9, merged=True, census=0.03),
    Shape("merged, load doubles", load="level", load_size=0.9, merged=True, census=0.01),
    Shape("merged, diurnal, 24 h", load="diurnal", load_size=0.4, merged=True, **_DAYS),
    Shape("merged, AR .95", merged=True, rho=0.95, **_RED),
    Shape("ratio saturates +50 % over 300 s", ratio="saturating", ratio_size=0.5, ratio_seconds=300.0),
    Shape("ratio saturates +100 % over 10 min", ratio="saturating", ratio_size=1.0, ratio_seconds=600.0),
    Shape("ratio saturates +100 % over 30 min, AR .9", ratio="saturating", ratio_size=1.0, ratio_seconds=1800.0, rho=0.9, **_RED),
    Shape("ratio saturates +200 % over 2 h, 8 h", ratio="saturating", ratio_size=2.0, ratio_seconds=7200.0, **_SLOW),
    Shape("ratio settles from +60 %", ratio="settling", ratio_size=0.6, ratio_seconds=600.0),
    Shape("ratio +100 % at 50 %", ratio="step", ratio_size=1.0),
    Shape("ratio +100 % at 80 %, 8 h", ratio="step", ratio_size=1.0, ratio_at=0.8, **_SLOW),
    Shape("ratio +30 % at 20 %, AR .9", ratio="step", ratio_size=0.3, ratio_at=0.2, rho=0.9, **_RED),
    Shape("ratio diurnal 30 %, 8 h", ratio="diurnal", ratio_size=0.3, **_SLOW),
    Shape("ratio diurnal 40 %, 24 h", ratio="diurnal", ratio_size=0.4, **_DAYS),
    Shape("ratio diurnal 40 %, 12 h, AR .9", ratio="diurnal", ratio_size=0.4, minutes=720.0, rho=0.9, **_RED),
    Shape("ratio sawtooth 45 min 25 %", ratio="sawtooth", ratio_size=0.25),
    Shape("ratio sawtooth 45 min 50 %, 2 h", ratio="sawtooth", ratio_size=0.5, minutes=120.0),
    Shape("ratio sawtooth 3 h 50 %, 8 h", ratio="sawtooth", ratio_size=0.5, ratio_seconds=10800.0, **_SLOW),
    Shape("merged, ratio +100 % at 50 %", ratio="step", ratio_size=1.0, merged=True),
    Shape("merged, ratio diurnal 30 %, 8 h", ratio="diurnal", ratio_size=0.3, merged=True, **_SLOW),
    Shape("ratio +30 % in 30 min", ratio="ramp", ratio_size=0.3),
    Shape("ratio +70 % in 8 h, AR .9", ratio="ramp", ratio_size=0.7, rho=0.9, **_RED, **_SLOW),
    Shape("ratio +150 % in 8 h, load diurnal", ratio="ramp", ratio_size=1.5, load="diurnal", load_size=0.4, **_SLOW),
    Shape("ratio +150 % in 8 h, load in bursts", ratio="ramp", ratio_size=1.5, load="bursts", load_size=0.5, **_SLOW),
    Shape("ratio +120 % in 3 stairs, 2 h", ratio="stairs", ratio_size=1.2, minutes=120.0),
    Shape("ratio +120 % in a logistic course, 2 h", ratio="logistic", ratio_size=1.2, ratio_seconds=900.0, minutes=120.0),
    Shape("ratio +80 % in 3 stairs, load grows by 140 %", ratio="stairs", ratio_size=0.8, load="ramp", load_size=1.4, sd=0.002),
    Shape("ratio -50 % in 8 h", ratio="ramp", ratio_size=-0.5, **_SLOW),
    Shape("a third of the counts unknown", unknown=0.33),
    Shape("barriers stop at 50 %", barriers_until=0.5, minutes=120.0),
    Shape("AR .99, 2 h", rho=0.99, minutes=120.0, **_RED),
    Shape("AR .99, 24 h", rho=0.99, **_RED, **_DAYS),
    Shape("AR .99 of 5 %, 8 h", noise="ar", sd=0.05, rho=0.99, **_SLOW),
    Shape("AR .99, 7 days, 20,000 objects", objects=20_000, rho=0.99, **_RED, **_WEEK),
    Shape("load walks, 30 min", load="walk", load_size=0.5),
    Shape("load walks, 8 h", load="walk", load_size=0.8, **_SLOW),
    Shape("load walks, AR .9, 24 h", load="walk", load_size=0.8, rho=0.9, **_RED, **_DAYS),
    Shape("merged, load walks, 2 h", load="walk", load_size=0.6, merged=True, census=0.01, minutes=120.0),
    Shape("ratio walks, 8 h", ratio="walk", ratio_size=0.2, **_SLOW),
    Shape("load and ratio walk, 24 h", load="walk", load_size=0.5, ratio="walk", ratio_size=0.3, **_DAYS),
    Shape("16 barriers, 30 min", barrier=120.0),
    Shape("16 barriers, load +50 %", barrier=120.0, load="ramp", load_size=0.5),
    Shape("16 barriers, ratio saturates +100 % over 15 min", barrier=120.0, ratio="saturating", ratio_size=1.0, ratio_seconds=900.0),
    Shape("20 barriers, 7 days, load diurnal", barrier=31_830.0, minutes=10080.0, load="diurnal", load_size=0.4),
    Shape("200 objects, 8 h, load in bursts", objects=200, sd=0.05, load="bursts", load_size=1.0, **_SLOW),
    Shape("200,000 objects, load +50 %, AR .9", objects=200_000, load="ramp", load_size=0.5, rho=0.9, **_RED),
    Shape("no counts from 30 to 60 %", no_counts=(0.3, 0.6), minutes=120.0),
    Shape("no counts from 30 to 60 %, load +50 %", no_counts=(0.3, 0.6), load="ramp", load_size=0.5, minutes=120.0),
    Shape("no census from 50 %, load +80 %", no_census=(0.5, 1.0), load="ramp", load_size=0.8, minutes=120.0),
    Shape("no census from 40 to 70 %, load bulges", no_census=(0.4, 0.7), load="bulge", load_size=0.8, minutes=120.0),
    Shape("merged, no census from 50 %, load +80 %", no_census=(0.5, 1.0), load="ramp", load_size=0.8, minutes=120.0, merged=True),
)  # fmt: skip

# Leaks: never PASS where what was lost matters.
LEAKING = (
    Shape("1/s, 30 min", rate=1.0),
    Shape("1/s, 30 min, AR .5", rate=1.0, rho=0.5, **_RED),
    Shape("1/s, 30 min, AR .9", rate=1.0, rho=0.9, **_RED),
    Shape("1/s, 30 min, in bursts", rate=1.0, load="bursts", load_size=1.0, rho=0.5, **_RED),
    Shape("1/s, 30 min, load +50 %", rate=1.0, load="ramp", load_size=0.5),
    Shape("1/s, 30 min, shrinks leave 5 %", rate=1.0, left=0.05),
    Shape("0.1/s, 8 h", rate=0.1, **_SLOW),
    Shape("0.1/s, 8 h, AR .9", rate=0.1, rho=0.9, **_RED, **_SLOW),
    Shape("0.1/s, 8 h, load diurnal 30 %", rate=0.1, load="diurnal", load_size=0.3, **_SLOW),
    Shape("10/s, 30 min, 24,000", rate=10.0, objects=24_000),
    Shape("1/s, 30 min, 24,000", rate=1.0, objects=24_000),
    Shape("1/s, 8 h, 200,000", rate=1.0, objects=200_000, **_SLOW),
    Shape("2/s, 8 h, 200,000, AR .95", rate=2.0, objects=200_000, rho=0.95, **_RED, **_SLOW),
    Shape("in 500 steps, 8 h", rate=0.1, steps=500, **_SLOW),
    Shape("in 6 steps, 8 h", rate=0.1, steps=6, **_SLOW),
    Shape("10/s from 80 % of 8 h", rate=10.0, begin=0.8, **_SLOW),
    Shape("1/s from 75 % of 24 h", rate=1.0, begin=0.75, **_DAYS),
    Shape("1/s until 20 % of 8 h", rate=1.0, end=0.2, **_SLOW),
    Shape("5/s until 7 % of 30 min", rate=5.0, end=0.07),
    Shape("1/s from 40 to 60 % of 8 h", rate=1.0, begin=0.4, end=0.6, **_SLOW),
    Shape("500 at 97 % of 30 min", lost_at_once=510.0, begin=0.965),
    Shape("10/s from 97 % of 30 min", rate=10.0, begin=0.97),
    Shape("5/s from 97 % of 8 h", rate=5.0, begin=0.97, **_SLOW),
    Shape("5,000 at 80 % of 8 h", lost_at_once=5000.0, begin=0.8, **_SLOW),
    Shape("600 at 90 %, AR .95, 8 h", lost_at_once=600.0, begin=0.9, rho=0.95, **_RED, **_SLOW),
    Shape("600 at 3 % of 30 min", lost_at_once=600.0, begin=0.03),
    Shape("500 at 50 %, 24,000 objects", lost_at_once=560.0, objects=24_000, begin=0.5),
    Shape("3,200 at 90 %, 200,000 objects, 8 h", lost_at_once=3200.0, objects=200_000, begin=0.9, **_SLOW),
    Shape("2 % until 50 %, 100,000, drift", rate=0.14, end=0.5, objects=100_000, noise="drift", **_SLOW),
    Shape("600 at 70 %, heavy tails, 8 h", lost_at_once=600.0, begin=0.7, noise="heavy", sd=0.03, **_SLOW),
    Shape("600 at 97 %, heavy tails, 30 min", lost_at_once=600.0, begin=0.965, noise="heavy", sd=0.03),
    Shape("600 while load -60 %, 8 h", rate=0.021, load="ramp", load_size=-0.6, **_SLOW),
    Shape("900 while ratio -30 %", rate=0.5, ratio="settling", ratio_size=0.4, ratio_seconds=600.0),
    Shape("600 while load diurnal 40 %, 24 h", lost_at_once=600.0, begin=0.6, load="diurnal", load_size=0.4, **_DAYS),
    Shape("merged, 1/s, 30 min", rate=1.0, merged=True),
    Shape("merged, 0.1/s, 8 h", rate=0.1, merged=True, **_SLOW),
    Shape("merged, 1/s, load +50 %", rate=1.0, merged=True, load="ramp", load_size=0.5, census=0.01),
    Shape("merged, 1/s, load -50 %", rate=0.6, merged=True, load="ramp", load_size=-0.5, census=0.01),
    Shape("merged, 700 at 90 %, diurnal, 24 h", lost_at_once=700.0, begin=0.9, merged=True, load="diurnal", load_size=0.4, **_DAYS),
    Shape("merged, 1,000 at 60 %, load halves there", lost_at_once=1000.0, begin=0.6, merged=True, load="level", load_size=-0.5),
    Shape("5/s from 50 %, barriers stop there", rate=5.0, begin=0.5, barriers_until=0.5, minutes=120.0),
    Shape("5/s from 90 %, barriers stop there", rate=5.0, begin=0.9, barriers_until=0.9, minutes=120.0),
    Shape("10/s from 97 %, barriers stop there, 8 h", rate=10.0, begin=0.97, barriers_until=0.97, **_SLOW),
    Shape("800 at 97 %, a third unknown", lost_at_once=800.0, begin=0.965, unknown=0.33),
    Shape("0.03/s while ratio -90 %, 8 h", rate=0.03, ratio="ramp", ratio_size=-0.9, **_SLOW),
    Shape("600 at 80 %, a third unknown", lost_at_once=600.0, begin=0.8, unknown=0.33),
    Shape("0.01/s, 7 days", rate=0.01, **_WEEK),
    Shape("0.0009/s, 7 days, 544 objects", rate=0.0009, **_WEEK),
    Shape("600 at 99.7 % of 24 h", lost_at_once=600.0, begin=0.997, **_DAYS),
    Shape("10/s from 99.5 % of 24 h", rate=10.0, begin=0.995, **_DAYS),
    Shape("5/s from 99.9 % of 7 days", rate=5.0, begin=0.999, **_WEEK),
    Shape("merged, 600 at 99.7 % of 24 h", lost_at_once=600.0, begin=0.997, merged=True, **_DAYS),
    Shape("600 at 50 %, AR .99, 24 h", lost_at_once=600.0, begin=0.5, rho=0.99, **_RED, **_DAYS),
    Shape("1/s from 90 %, AR .99, 8 h", rate=1.0, begin=0.9, rho=0.99, **_RED, **_SLOW),
    Shape("0.1/s with 3 pauses, 8 h", rate=0.1, pauses=3, **_SLOW),
    Shape("0.1/s with 20 pauses, 8 h", rate=0.1, pauses=20, **_SLOW),
    Shape("1/s from 30 to 70 % with 1 pause, 2 h", rate=1.0, begin=0.3, end=0.7, pauses=1, minutes=120.0),
    Shape("0.02/s with 5 pauses, 24 h, load diurnal", rate=0.02, pauses=5, load="diurnal", load_size=0.3, **_DAYS),
    Shape("speeding up, 8 h", rate=0.03, curve=3.0, **_SLOW),
    Shape("slowing down, 8 h", rate=0.03, curve=0.4, **_SLOW),
    Shape("0.03/s by a load in bursts, 8 h", rate=0.03, by_load=True, load="bursts", load_size=1.0, **_SLOW),
    Shape("0.03/s by a load that walks, 8 h", rate=0.03, by_load=True, load="walk", load_size=0.5, **_SLOW),
    Shape("600 at 60 %, load walks, 8 h", lost_at_once=600.0, begin=0.6, load="walk", load_size=0.8, **_SLOW),
    Shape("600 at 90 %, load -60 %, 8 h", lost_at_once=600.0, begin=0.9, load="ramp", load_size=-0.6, **_SLOW),
    Shape("600 where the load drops by 40 %", lost_at_once=600.0, begin=0.6, load="level", load_size=-0.4),
    Shape("1/s from 80 %, 16 barriers", rate=1.7, begin=0.8, barrier=120.0),
    Shape("600 at 50 %, 16 barriers", lost_at_once=600.0, begin=0.5, barrier=120.0),
    Shape("600 at 95 %, 20 barriers, 7 days", lost_at_once=600.0, begin=0.94, barrier=31_830.0, minutes=10080.0),
    Shape("600 of 200, 8 h", lost_at_once=600.0, begin=0.5, objects=200, sd=0.05, **_SLOW),
    Shape("0.02/s of 200, 8 h", rate=0.02, objects=200, sd=0.05, **_SLOW),
    Shape("merged, 600 at 96 %, 8 h", lost_at_once=600.0, begin=0.96, merged=True, **_SLOW),
    Shape("merged, 1/s from 90 %, 8 h", rate=1.0, begin=0.9, merged=True, **_SLOW),
    Shape("merged, 600 at 50 %, load walks, 2 h", lost_at_once=600.0, begin=0.5, merged=True, load="walk", load_size=0.5, minutes=120.0),
    Shape("merged, 600 while load -50 %, 24 h", rate=0.007, merged=True, load="ramp", load_size=-0.5, **_DAYS),
    Shape("600 where there are no counts", lost_at_once=600.0, begin=0.45, no_counts=(0.3, 0.6), minutes=120.0),
    Shape("5/s from 60 %, no census from there", rate=5.0, begin=0.6, no_census=(0.6, 1.0), minutes=120.0),
    Shape("chains only, 0.1/s, 8 h", rate=0.1, where=("anon_vma_chain",), **_SLOW),
    Shape("chains only, merged, 600 at 80 %, 8 h", lost_at_once=600.0, begin=0.8, where=("anon_vma_chain",), merged=True, **_SLOW),
    Shape("VMAs only, 600 at 80 %, 8 h", lost_at_once=600.0, begin=0.8, where=("vm_area_struct",), **_SLOW),
    Shape("VMAs only, 1/s, 30 min", rate=1.0, where=("vm_area_struct",)),
)  # fmt: skip

SHAPES = (*QUIET, *LEAKING)

# Steady leaks that have to be found as often as before (docs/soak.md).
POWER = {
    "1/s, 30 min": 0.95, "1/s, 30 min, AR .5": 0.95, "1/s, 30 min, AR .9": 0.9, "1/s, 30 min, in bursts": 0.9,
    "1/s, 30 min, load +50 %": 0.9, "1/s, 30 min, shrinks leave 5 %": 0.9, "0.1/s, 8 h": 0.95,
    "0.1/s, 8 h, AR .9": 0.95, "0.1/s, 8 h, load diurnal 30 %": 0.95, "10/s, 30 min, 24,000": 0.0,
}  # fmt: skip
