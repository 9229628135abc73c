# SPDX-License-Identifier: MIT
"""What two arms are compared by: one number a boot for each metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from lazyobs.kernel.profile import NO_LAZY
from lazyobs.kernel.slab import CACHES
from lazyobs.model import HISTOGRAMS
from lazyobs.soak import cost
from lazyobs.soak.columns import growth, seconds, settled
from lazyobs.soak.counts import BARRIER, live_objects
from lazyobs.soak.series import Column, Series
from lazyobs.soak.thresholds import Thresholds

_TIME = " time"
JUDGED, WORKLOAD, BENEFIT = "cost", "validity", "benefit"
RATIO, SHARE, BYTES = "ratio", "share", "bytes"
DURATION = "s"  # unit
LOCK_WAIT = "wait for the anon_vma lock per fork"


def _shown(name: str) -> str:
    return name.replace("_seconds", "").replace("_", " ") + _TIME


_DURATIONS = {
    _shown(name): name for histogram in HISTOGRAMS if histogram.unit == "seconds" for name in histogram.series()
}
_OF_LAZY = {_shown("promotion_seconds")}


@dataclass(frozen=True)
class Metric:
    """``base`` and ``new``: a value for each boot. ``scale``: how a difference is given: as a ratio, as a difference of
    shares of successes (where more is better), or of bytes."""

    name: str
    part: str
    scale: str
    unit: str
    base: Column
    new: Column
    source: str = ""
    base_times: Column = field(default_factory=lambda: np.array([]))  # when each boot's recording began, unix seconds
    new_times: Column = field(default_factory=lambda: np.array([]))
    unknown: str = ""  # what kept boots out of it

    def on_scale(self) -> tuple[Column, Column]:
        """Both arms so that a difference is what is judged, and more of it is worse."""
        if self.scale == RATIO:
            return np.log(self.base), np.log(self.new)
        if self.scale == SHARE:
            return -self.base, -self.new
        return self.base, self.new


Boots = dict[str, list[Series]]
_Value = Callable[[Series], float | None]


@dataclass(frozen=True)
class Missing:
    """A metric that cannot be compared. ``known``: some boots have it, so that a difference may hide there."""

    name: str
    part: str
    why: str
    known: bool


def metrics(base: Boots, new: Boots, thresholds: Thresholds) -> tuple[list[Metric], list[Missing]]:
    """What enough boots of both arms have, and what cannot be compared."""
    found: list[Metric] = []
    missing: list[Missing] = []
    least = min(thresholds.compare["boots"], len(base), len(new))
    times = [np.array([_began(recordings) for recordings in arm.values()]) for arm in (base, new)]
    for name, part, scale, unit, value, source in _values([*base.values(), *new.values()], thresholds):
        arms = [[_of_boot(recordings, value) for recordings in arm.values()] for arm in (base, new)]
        known = [[one is not None for one in arm] for arm in arms]
        counts = [sum(arm) for arm in known]
        if not any(counts):
            missing.append(Missing(name, part, _why_unknown(name), known=False))
            continue
        lacking = [list(arm.values()) for arm, count in zip((base, new), counts) if not count]
        if lacking and (why := _no_such_thing(name, lacking[0]) or _rarer(name, base, new, counts)):
            missing.append(Missing(name, part, why, known=False))
            continue
        counted = f"known of {counts[0]} of {len(arms[0])} boots of base and {counts[1]} of {len(arms[1])} of new"
        if min(counts) < least:
            # What a few boots of both arms have by chance is rare, not withheld.
            rare = all(count < len(arm) / 2 for count, arm in zip(counts, arms))
            missing.append(Missing(name, part, counted, known=not rare))
            continue
        columns = [np.array([one for one in arm if one is not None], dtype=float) for arm in arms]
        if scale == RATIO and min(column.min() for column in columns) <= 0:
            missing.append(Missing(name, part, "is 0 in a boot", known=True))
            continue
        there = [column[np.array(arm)] for column, arm in zip(times, known)]
        found.append(
            Metric(
                name,
                part,
                scale,
                unit,
                columns[0],
                columns[1],
                source,
                there[0],
                there[1],
                "" if all(map(all, known)) else counted,
            )
        )
    return found, missing


def _no_such_thing(name: str, arm: list[list[Series]]) -> str:
    """Why the kernel of that arm cannot have such durations, by its design; "" where it could have some.

    Promotions take time that a mainline kernel does not spend. They are part of the forks and faults in which they
    happen, and these are compared.
    """
    if name not in _OF_LAZY:
        return ""
    reasons = {series.last.get("null_reasons", {}).get("totals.promotions", "") for boot in arm for series in boot}
    if all(why.endswith(NO_LAZY) for why in reasons):
        return "the kernel of one arm has no lazy anon_vmas, and so none of them; forks and first faults, of which they are part, are compared"
    return ""


def _rarer(name: str, base: Boots, new: Boots, counts: list[int]) -> str:
    """Why durations that the new kernel has too few of, in every boot, hide no regression: together they took less time
    than in any boot of base. "" where that is not so, or not known."""
    key = _DURATIONS.get(name)
    if key is None or counts[1]:
        return ""
    together = [[_spent(recordings, key) for recordings in arm.values()] for arm in (base, new)]
    before, after = ([one for one in arm if one is not None] for arm in together)
    if len(before) < len(base) or len(after) < len(new):
        return ""
    if max(spent for _, spent in after) >= min(spent for _, spent in before):
        return ""
    most, least = max(count for count, _ in after), min(count for count, _ in before)
    return f"new has at most {most:.0f} in a boot and base {least:.0f} and more: together they take less time in every boot of new"


def _spent(recordings: list[Series], key: str) -> tuple[float, float] | None:
    """(how many, seconds together) of a boot; None where they are not counted."""
    found = [series.distributions[key] for series in recordings if key in series.distributions]
    if len(found) < len(recordings):
        return None
    return sum(float(one.counts.sum()) for one in found), sum(one.sum for one in found)


def _began(recordings: list[Series]) -> float:
    return min(float(series.samples["time"][0]) for series in recordings)


def _why_unknown(name: str) -> str:
    if name.endswith(_TIME) or name == LOCK_WAIT:
        return f"no boot has {cost.LEAST_COUNT} of them"
    return "no boot has it"


def _of_boot(recordings: list[Series], value: _Value) -> float | None:
    """Mean over the recordings of a boot, weighted by their length; None where one does not have it."""
    values = [value(series) for series in recordings]
    weights = [seconds(series) for series in recordings]
    if any(one is None for one in values) or sum(weights) <= 0:
        return None
    return sum((one or 0.0) * weight for one, weight in zip(values, weights)) / sum(weights)


def _values(boots: list[list[Series]], thresholds: Thresholds) -> Iterator[tuple[str, str, str, str, _Value, str]]:
    everything = [series for recordings in boots for series in recordings]
    more = dict.fromkeys(name for series in everything for name in series.distributions if "_seconds" in name)
    for name in dict.fromkeys([*more, *_DURATIONS.values()]):
        shown = _shown(name)
        yield shown, JUDGED, RATIO, DURATION, partial(_duration, name=name), "mean"
    yield LOCK_WAIT, JUDGED, RATIO, DURATION, cost.lock_wait_per_fork, "counter"
    for share in cost.SHARES:
        yield share.name, JUDGED, SHARE, "share", partial(_success, share=share), "/proc/vmstat"
    sources = {cache: {_source(series, cache) for series in everything} for cache in CACHES}
    for cache in CACHES:
        # Allocations less frees are no level: what they differ by between arms is no memory.
        if sources[cache] == {BARRIER}:
            value = partial(memory, cache=cache, thresholds=thresholds)
            yield f"{cache} memory", BENEFIT, BYTES, "bytes", value, BARRIER
    if sources["anon_vma"] == sources["anon_vma_chain"] == {BARRIER}:
        yield (
            "anon_vma and chain memory",
            BENEFIT,
            BYTES,
            "bytes",
            partial(_together, caches=CACHES[:2], thresholds=thresholds),
            BARRIER,
        )
    if all(found == {BARRIER} for found in sources.values()):
        yield "memory of VMAs and reverse maps", JUDGED, RATIO, "bytes", partial(_together, caches=CACHES, thresholds=thresholds), BARRIER  # fmt: skip
    yield "saved bytes by census", BENEFIT, BYTES, "bytes", partial(_median, name="saved_bytes", thresholds=thresholds), "census"  # fmt: skip
    yield "VMAs", WORKLOAD, RATIO, "VMAs", partial(_median, name="vmas", thresholds=thresholds), "census"
    yield "forks a second", WORKLOAD, RATIO, "1/s", partial(_rate, name="forks"), "counter"


def _duration(series: Series, name: str) -> float | None:
    distribution = series.distributions.get(name)
    if distribution is None or distribution.counts.sum() < cost.LEAST_COUNT:
        return None
    return cost.mean(distribution)


def _success(series: Series, share: cost.Share) -> float | None:
    found = cost.success(series, share)
    return found[0] if found is not None and found[1] >= cost.LEAST_COUNT else None


def _source(series: Series, cache: str) -> str | None:
    found = live_objects(series, cache)
    return found[2] if found else None


def memory(series: Series, cache: str, thresholds: Thresholds) -> float | None:
    """Bytes of live objects, the median after the warm-up; None where barrier samples do not count them."""
    found, each = live_objects(series, cache), series.object_bytes.get(cache)
    if found is None or each is None or found[2] != BARRIER:
        return None
    live = found[1][settled(found[0], thresholds)]
    live = live[np.isfinite(live)]
    return float(np.median(live)) * each if len(live) else None


def _together(series: Series, caches: tuple[str, ...], thresholds: Thresholds) -> float | None:
    parts = [memory(series, cache, thresholds) for cache in caches]
    return None if None in parts else sum(part or 0.0 for part in parts)


def _median(series: Series, name: str, thresholds: Thresholds) -> float | None:
    values = series.samples[name][settled(series.samples["time"], thresholds)]
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else None


def _rate(series: Series, name: str) -> float | None:
    count, length = growth(series.samples, name), seconds(series)
    return count / length if count and length else None
