# SPDX-License-Identifier: MIT
"""What two arms are compared by: one number a boot for each metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from lazyobs.kernel.slab import CACHES
from lazyobs.soak import cost
from lazyobs.soak.columns import growth, seconds, settled
from lazyobs.soak.leak import live_objects
from lazyobs.soak.series import Column, Series
from lazyobs.soak.thresholds import Thresholds

JUDGED, WORKLOAD, BENEFIT = "cost", "validity", "benefit"
RATIO, SHARE, BYTES = "ratio", "share", "bytes"


@dataclass(frozen=True)
class Metric:
    """``base`` and ``new``: a value for each boot. ``scale``: how a difference is told: as a ratio, as a difference of
    shares of successes (where more is better), or of bytes."""

    name: str
    part: str
    scale: str
    unit: str
    base: Column
    new: Column
    source: str = ""

    def on_scale(self) -> tuple[Column, Column]:
        """Both arms so that a difference is what is judged, and more of it is worse."""
        if self.scale == RATIO:
            return np.log(self.base), np.log(self.new)
        if self.scale == SHARE:
            return -self.base, -self.new
        return self.base, self.new


Boots = dict[str, list[Series]]
_Value = Callable[[Series], float | None]


def metrics(base: Boots, new: Boots, thresholds: Thresholds) -> tuple[list[Metric], dict[str, str]]:
    """What every boot of both arms has; and for the others {name: why not}."""
    found: list[Metric] = []
    missing: dict[str, str] = {}
    for name, part, scale, unit, value, source in _values([*base.values(), *new.values()], thresholds):
        arms = [[_of_boot(recordings, value) for recordings in arm.values()] for arm in (base, new)]
        unknown = [sum(one is None for one in arm) for arm in arms]
        if all(count == len(arm) for count, arm in zip(unknown, arms)):
            continue  # of neither kernel: nothing to compare
        if any(unknown):
            missing[name] = f"known of {len(arms[0]) - unknown[0]} of {len(arms[0])} boots of base and {len(arms[1]) - unknown[1]} of {len(arms[1])} of new"  # fmt: skip
            continue
        columns = [np.array(arm, dtype=float) for arm in arms]
        if scale == RATIO and min(column.min() for column in columns) <= 0:
            missing[name] = "is 0 in a boot"
            continue
        found.append(Metric(name, part, scale, unit, columns[0], columns[1], source))
    return found, missing


def _of_boot(recordings: list[Series], value: _Value) -> float | None:
    """Mean over the recordings of a boot, weighted by their length; None where one does not have it."""
    values = [value(series) for series in recordings]
    weights = [seconds(series) for series in recordings]
    if any(one is None for one in values) or sum(weights) <= 0:
        return None
    return sum((one or 0.0) * weight for one, weight in zip(values, weights)) / sum(weights)


def _values(boots: list[list[Series]], thresholds: Thresholds) -> Iterator[tuple[str, str, str, str, _Value, str]]:
    everything = [series for recordings in boots for series in recordings]
    names = dict.fromkeys(name for series in everything for name in series.distributions if "_seconds" in name)
    for name in names:
        shown = name.replace("_seconds", "").replace("_", " ") + " time"
        yield shown, JUDGED, RATIO, "s", partial(_duration, name=name), "mean"
    for share in cost.SHARES:
        yield share.name, JUDGED, SHARE, "share", partial(_success, share=share), "/proc/vmstat"
    sources = {cache: {_source(series, cache) for series in everything} for cache in CACHES}
    for cache in CACHES:
        if len(sources[cache]) == 1 and None not in sources[cache]:
            source = next(iter(sources[cache])) or ""
            yield (
                f"{cache} memory",
                BENEFIT,
                BYTES,
                "bytes",
                partial(memory, cache=cache, thresholds=thresholds),
                source,
            )
    if sources["anon_vma"] == sources["anon_vma_chain"] == {"barrier"}:
        yield (
            "anon_vma and chain memory",
            BENEFIT,
            BYTES,
            "bytes",
            partial(_together, caches=CACHES[:2], thresholds=thresholds),
            "barrier",
        )
    if all(found == {"barrier"} for found in sources.values()):
        yield "memory of VMAs and reverse maps", JUDGED, RATIO, "bytes", partial(_together, caches=CACHES, thresholds=thresholds), "barrier"  # fmt: skip
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
    """Bytes of live objects, the median after the warm-up; from a ledger: beyond those when the recording began."""
    found, each = live_objects(series, cache), series.object_bytes.get(cache)
    if found is None or each is None:
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
