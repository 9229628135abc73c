# SPDX-License-Identifier: MIT
"""Recordings whose barriers counted orphans (objects that no VMA holds), with a known truth. Rows of data, like
leaks.py; a barrier takes READINGS readings, and keeps the smallest and how far they lie apart.

What a storm of forks adds is in flight at a reading: never negative, correlated from one barrier to the next, and
different in the readings of one barrier, by ``unlike``, which is the only sign of it besides the forks themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lazyobs.soak.series import Series
from tests.soak.truth import leaks
from tests.soak.truth.leaks import Values

READINGS = 5


@dataclass(frozen=True)
class Shape:
    """Shares are of the recording's length."""

    name: str
    minutes: float = 30.0
    barrier: float = 60.0
    objects: int = 2000
    load: str = "steady"
    load_size: float = 0.0
    base: int = 30  # objects of processes that the iterator does not visit
    forks: float = 7.0  # a second, in quiet times
    stray: float = 0.1  # share of the quiet readings with a process on its way
    # the storm
    storm: float = 0.0  # objects in flight, on average
    storm_begin: float = 0.0
    storm_end: float = 1.0
    storm_forks: float = 300.0
    storm_of_each: float = 1.0  # share of the barriers within that time which it meets
    rho: float = 0.9
    swing: float = 0.4  # of the logarithm of what is in flight, from barrier to barrier
    unlike: float = 0.2  # the same within a barrier
    # the leak
    per_fork: float = 0.0
    rate: float = 0.0
    lost_at_once: float = 0.0
    begin: float = 0.0
    end: float = 1.0
    # what is missing
    caches: tuple[str, ...] = ("anon_vma",)  # those whose orphans were counted
    spread_known: bool = True
    forks_known: bool = True
    unknown: float = 0.0
    no_counts: tuple[float, float] = (0.0, 0.0)  # shares between which nothing was counted
    until: float = 1.0

    @property
    def leaks(self) -> bool:
        return bool(self.per_fork or self.rate or self.lost_at_once)

    def must_not_fail(self) -> bool:
        return not self.leaks


def _in_flight(random: np.random.Generator, shape: Shape, share: Values) -> tuple[Values, Values]:
    """(readings x barriers, whether the storm blows)."""
    count = len(share)
    blows = (share >= shape.storm_begin) & ((share < shape.storm_end) | (shape.storm_end >= 1)) & (shape.storm > 0)
    blows &= random.random(count) < shape.storm_of_each
    level = np.zeros(count)
    state = random.normal()
    for index in range(count):
        state = shape.rho * state + np.sqrt(1 - shape.rho**2) * random.normal()
        level[index] = shape.storm * np.exp(shape.swing * state)
    seen = random.poisson(level * np.exp(random.normal(0, shape.unlike, (READINGS, count)))) * blows
    stray = random.poisson(3, (READINGS, count)) * (random.random(count) < shape.stray)
    return seen + stray, blows


def series(shape: Shape, seed: int) -> Series:
    """One recording of it."""
    random = np.random.default_rng([seed, 23, sum(map(ord, shape.name))])
    made = leaks.series(
        leaks.Shape(
            shape.name, shape.minutes, shape.barrier, shape.objects, load=shape.load, load_size=shape.load_size
        ),
        seed,
    )
    time = made.samples["time"]
    share = (time - time[0]) / (time[-1] - time[0])
    seen, blows = _in_flight(random, shape, share)
    rate = np.where(blows, shape.storm_forks, shape.forks)
    forks = np.concatenate([[0.0], np.cumsum(random.poisson((rate[1:] + rate[:-1]) / 2 * shape.barrier))])
    within = np.clip((share - shape.begin) / max(shape.end - shape.begin, 1e-9), 0, 1)
    lost = np.where(share >= shape.begin, shape.lost_at_once, 0.0)
    lost += shape.rate * within * (shape.end - shape.begin) * shape.minutes * 60
    meanwhile = np.diff(forks, prepend=0.0) * ((share > shape.begin) & (share <= shape.end))
    lost += np.cumsum(random.binomial(meanwhile.astype(int), shape.per_fork))
    lost = np.floor(lost)
    made.samples["forks"] = forks if shape.forks_known else np.full(len(forks), np.nan)
    all_readings = shape.base + lost + seen
    floor, spread = all_readings.min(axis=0), np.ptp(all_readings, axis=0)
    floor[random.random(len(floor)) < shape.unknown] = np.nan
    floor[(share > shape.no_counts[0]) & (share <= shape.no_counts[1])] = np.nan
    kept = share <= shape.until
    barriers = {name: values[kept] for name, values in made.barriers.items()}
    for cache in shape.caches:
        barriers[cache] = barriers[cache] + floor[kept]
        barriers[f"{cache}_orphans"] = floor[kept]
        if shape.spread_known:
            barriers[f"{cache}_orphans_spread"] = np.where(np.isfinite(floor), spread, np.nan)[kept]
    made.barriers = barriers
    return made


def lost(shape: Shape) -> float:
    """Expected number by the end."""
    forks = shape.storm_forks if shape.storm and shape.storm_of_each == 1 else shape.forks
    seconds = (shape.end - shape.begin) * shape.minutes * 60
    return shape.lost_at_once + (shape.rate + shape.per_fork * forks) * seconds


def must_not_pass(shape: Shape) -> bool:
    """What was lost is more than the stray processes of a quiet reading."""
    return lost(shape) >= 30


_STORMY: dict[str, Any] = {"storm": 300.0}

QUIET = (
    Shape("quiet, 30 min"),
    Shape("quiet, 20 s barriers", barrier=20.0),
    Shape("quiet, 24 h, 200,000", minutes=1440.0, barrier=300.0, objects=200_000),
    Shape("quiet, load -70 %", load="ramp", load_size=-0.7),
    Shape("quiet, load triples", load="level", load_size=2.0),
    Shape("quiet, no base", base=0, stray=0.3),
    Shape("many stray processes", stray=0.6),
    Shape("storm all the time", **_STORMY),
    Shape("storm all the time, slow swings", rho=0.98, swing=0.8, **_STORMY),
    Shape("storm all the time, alike within a barrier", unlike=0.02, **_STORMY),
    Shape("storm from 50 % on", storm_begin=0.5, **_STORMY),
    Shape("storm from 50 % on, alike within a barrier", storm_begin=0.5, unlike=0.0, **_STORMY),
    Shape("storm from 30 % on, few in flight", storm_begin=0.3, storm=12.0),
    Shape("storm from 50 % on, forks unknown", storm_begin=0.5, forks_known=False, **_STORMY),
    Shape("storm from 50 % on, spread unknown", storm_begin=0.5, spread_known=False, **_STORMY),
    Shape("storm from 80 % on, 8 h", minutes=480.0, storm_begin=0.8, **_STORMY),
    Shape("storm until 50 %", storm_end=0.5, **_STORMY),
    Shape("storm at every other barrier", storm_of_each=0.5, **_STORMY),
    Shape("storm at 4 of 5 barriers from 40 % on", storm_begin=0.4, storm_of_each=0.8, **_STORMY),
    Shape("storm of 900 from 60 % on, same forks", storm=900.0, storm_begin=0.6, storm_forks=7.0),
    Shape("ramping forks", storm=60.0, storm_begin=0.2, storm_forks=14.0, unlike=0.05),
    Shape("quiet, chains alone", caches=("anon_vma_chain",)),
    Shape("quiet, both caches, load -70 %", caches=("anon_vma", "anon_vma_chain"), load="ramp", load_size=-0.7),
    Shape("quiet, 14 barriers", barrier=138.0),
    Shape("quiet, 7 days, 200 objects", minutes=10080.0, barrier=600.0, objects=200),
    Shape("quiet, base of 5,000", base=5000),
    Shape("quiet, no counts from 30 to 60 %", no_counts=(0.3, 0.6), minutes=120.0),
    Shape("many stray processes, 14 barriers", barrier=138.0, stray=0.6),
    Shape("storm from 70 % on, 14 barriers", barrier=138.0, storm_begin=0.7, **_STORMY),
    Shape("storm from 30 to 60 %, no counts there", storm_begin=0.3, storm_end=0.6, no_counts=(0.3, 0.6), minutes=120.0, **_STORMY),
    Shape("storm of 3,000 all the time, swings, 24 h", storm=3000.0, rho=0.99, swing=1.0, minutes=1440.0, barrier=300.0),
    Shape("storm from 50 % on, load walks, 8 h", storm_begin=0.5, load="walk", load_size=0.8, minutes=480.0, **_STORMY),
)  # fmt: skip

LEAKING = (
    Shape("1 in 1,000 forks, 50/s, quiet", per_fork=0.001, forks=50.0),
    Shape("1 in 1,000 forks, 200/s, 20 s barriers, 6 min", per_fork=0.001, forks=200.0, barrier=20.0, minutes=6.0),
    Shape("1 in 1,000 forks, 200/s, 200,000 objects", per_fork=0.001, forks=200.0, objects=200_000),
    Shape("1 in 1,000 forks from 50 %, 100/s", per_fork=0.001, forks=100.0, begin=0.5),
    Shape("1 in 1,000 forks in a storm until 50 %", per_fork=0.001, storm_end=0.5, **_STORMY),
    Shape("1 in 1,000 in a storm at every other barrier", per_fork=0.001, storm_of_each=0.5, **_STORMY),
    Shape("40 at once at 60 %", lost_at_once=40.0, begin=0.6),
    Shape("40 at once at 60 %, load -70 %", lost_at_once=40.0, begin=0.6, load="ramp", load_size=-0.7),
    Shape("600 at 97 %", lost_at_once=600.0, begin=0.965),
    Shape("0.02/s", rate=0.02),
    Shape("1/s in a storm all the time, 2 h", rate=1.0, minutes=120.0, **_STORMY),
    Shape("600 in a storm from 50 % on", lost_at_once=600.0, begin=0.55, storm_begin=0.5, **_STORMY),
    Shape("600 at 20 %, storm until 30 %", lost_at_once=600.0, begin=0.2, storm_end=0.3, **_STORMY),
    Shape("600 at 3 %", lost_at_once=600.0, begin=0.02),
    Shape("5/s from 50 %, barriers stop there", rate=5.0, begin=0.5, until=0.5),
    Shape("40 at 50 %, a third unknown, 2 h", lost_at_once=40.0, begin=0.5, unknown=0.33, minutes=120.0),
    Shape("40 at 50 %, forks unknown, 1 h", lost_at_once=40.0, begin=0.5, forks_known=False, minutes=60.0),
    Shape("40 at 50 %, chains alone", lost_at_once=40.0, begin=0.5, caches=("anon_vma_chain",)),
    Shape("40 at 50 %, 14 barriers", lost_at_once=40.0, begin=0.5, barrier=138.0),
    Shape("40 at 50 %, load walks, 24 h", lost_at_once=40.0, begin=0.5, load="walk", load_size=0.8, minutes=1440.0, barrier=300.0),
    Shape("0.001/s, 7 days, 200,000 objects", rate=0.001, minutes=10080.0, barrier=600.0, objects=200_000),
    Shape("600 at 45 %, no counts there", lost_at_once=600.0, begin=0.45, no_counts=(0.3, 0.6), minutes=120.0),
    Shape("600 at 97 %, 14 barriers", lost_at_once=600.0, begin=0.97, barrier=138.0),
    Shape("600 of a base of 5,000 at 97 %, 8 h", lost_at_once=600.0, begin=0.97, base=5000, minutes=480.0),
    Shape("1/s until 20 %, 8 h", rate=1.0, end=0.2, minutes=480.0),
    Shape("0.05/s from 90 % of 8 h", rate=0.05, begin=0.9, minutes=480.0),
    Shape("600 at 99.5 % of 8 h", lost_at_once=600.0, begin=0.995, minutes=480.0),
    Shape("600 in a storm from 90 % on, 8 h", lost_at_once=600.0, begin=0.95, storm_begin=0.9, minutes=480.0, **_STORMY),
)  # fmt: skip

# What has to be found, and how often.
POWER = {
    "1 in 1,000 forks, 50/s, quiet": 0.95, "1 in 1,000 forks, 200/s, 20 s barriers, 6 min": 0.95,
    "1 in 1,000 forks, 200/s, 200,000 objects": 0.95, "1 in 1,000 forks from 50 %, 100/s": 0.95,
    "40 at 50 %, chains alone": 0.95, "40 at 50 %, load walks, 24 h": 0.95, "0.001/s, 7 days, 200,000 objects": 0.95,
    "40 at once at 60 %": 0.95, "40 at once at 60 %, load -70 %": 0.95, "0.02/s": 0.95,
}  # fmt: skip
SHAPES = (*QUIET, *LEAKING)
