# SPDX-License-Identifier: MIT
"""A rise of live objects that goes on to the end, as a leak of a steady rate gives: what FAIL rests on.

A slope alone is no leak. A rise counts if

- objects rise beyond what each measure of the workload explains (an intersection-union test, Berger 1982);
- it is a straight line in all its parts, so no step, no cache that fills, no daily wave (straight.py);
- it does not move with the load, and is more than a change of the objects per VMA gives (ratio_drift.py).

The whole recording is looked at first, then its last half, quarter and eighth, for leaks that begin late. These three
share half of the error, and have to double the objects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from lazyobs.soak import ratio_drift, straight
from lazyobs.soak.beyond import unexplained
from lazyobs.soak.counts import BARRIER, Counts
from lazyobs.soak.series import Column
from lazyobs.soak.trend import Trend, trend

_EXCLUDED_OF_CHANGES = 2.2  # straight.EXCLUDED, where only changes are known
_EACH_OF_CHANGES = 1.15  # objects per regular anonymous VMA then: each has a chain, many have more
_LATE_NEED = 1.0  # share by which a late part has to raise the objects: it was chosen because it rises
_LATE = (2, 4, 8)  # the last half, quarter, eighth
_LEAST_POINTS = 12  # of a late part
_WORTH_A_LOOK = 0.5  # share that the medians of its ends differ by at least
_AMPLE = 1.2  # times what is plausible: what rises more is no cache that fills
_SHRUNK = 0.9  # of a measure of the workload: below that, fewer objects are no surprise


@dataclass(frozen=True)
class Rise:
    """Of a part of the recording, from ``begin`` (unix seconds) to the end.

    ``onset``: when it began, as it seems, which may be before that part. ``trends``: objects per second beyond each measure of the workload; ``steepest``: of the first measure the same, or
    what the lowest rate per VMA leaves. ``base``: objects that the workload explains; ``share``: of them, what the rise
    comes to, less its standard error; ``need``: share from which on it is no plausible change of the objects per VMA.
    ``p``: corrected for the parts. ``bent``: why it is no leak of a steady rate, or empty.
    """

    begin: float
    onset: float
    seconds: float
    trends: dict[str, Trend]
    steepest: Trend
    base: float
    share: float
    need: float
    p: float
    bent: str

    @property
    def goes_on(self) -> bool:
        return not self.bent and self.share >= self.need

    @property
    def objects(self) -> float:
        """That the rise comes to, since its onset."""
        return next(iter(self.trends.values())).slope * self.lasts

    @property
    def in_part(self) -> float:
        """What it comes to in the part that was looked at."""
        return next(iter(self.trends.values())).slope * self.seconds

    @property
    def lasts(self) -> float:
        """Seconds from its onset to the end."""
        return self.begin - self.onset + self.seconds

    def slowest(self, floor: float, alpha: float) -> float:
        """Objects per second that would have been found in 80 % of the cases."""
        slope = next(iter(self.trends.values()))
        reach = float(stats.t.isf(0.2, slope.degrees))
        seen = floor + (float(stats.t.isf(alpha, slope.degrees)) + reach) * slope.error
        return float(max(seen, self.need * self.base / max(self.seconds, 1.0) + (1 + reach) * slope.error))


def rises(counts: Counts, origin: float, floor: float) -> list[Rise]:
    """Of the whole, then of its late parts; [] where there are too few points. ``origin``: when the recording began,
    before the warm-up; ``floor``: objects per second that are no leak yet."""
    courses = {name: unexplained(counts, name, origin) for name in counts.measures}
    whole = _rise(counts, courses, 0, floor, 2, ratio_drift.plausible(counts.times))
    if whole is None:
        return []
    found = [whole]
    for part in _LATE:
        begin = len(counts.times) - len(counts.times) // part
        if len(counts.times) - begin >= _LEAST_POINTS and _may_have_risen(counts.live[begin:]):
            late = _rise(counts, courses, begin, floor, 2 * len(_LATE), _LATE_NEED)
            found += [late] if late is not None else []
    return found


def fell(counts: Counts) -> bool:
    """There are fewer objects than before, because the workload shrank."""
    shrank = any(_lows(workload)[1] < _SHRUNK * _lows(workload)[0] for workload in counts.measures.values())
    return shrank and _lows(counts.live)[1] < _lows(counts.live)[0]


def _lows(values: Column) -> tuple[float, float]:
    """The least of the first third, and of the last: bursts come and go, the rest is what stays."""
    third = max(len(values) // 3, 1)
    return float(values[:third].min()), float(values[-third:].min())


def _may_have_risen(live: Column) -> bool:
    """Whether a late part is worth the time of a look."""
    sixth = max(len(live) // 6, 1)
    before, after = float(np.median(live[:sixth])), float(np.median(live[-sixth:]))
    return after - before > _WORTH_A_LOOK * abs(before)


def _rise(
    counts: Counts, courses: dict[str, list[Column]], begin: int, floor: float, tests: int, need: float
) -> Rise | None:
    """From the point ``begin`` on; None for too few points. ``tests``: how many share the error."""
    times = counts.times[begin:]
    trends: dict[str, Trend] = {}
    found: dict[str, list[Trend]] = {}
    for name, columns in courses.items():
        found[name] = [slope for one in columns if (slope := trend(times, one[begin:])) is not None]
        if not found[name]:
            return None
        # Of two explanations the one that leaves less counts.
        trends[name] = max(found[name], key=lambda slope: slope.p_above(floor))
    first = next(iter(courses))
    span = float(times[-1] - times[0])
    base = max(_explained(counts, begin, trends[first].slope), 1.0)
    share = min(slope.slope - slope.error for slope in trends.values()) * span / base
    p = max(slope.p_above(floor) for slope in trends.values())
    return Rise(
        begin=float(times[0]),
        onset=_onset(counts.times, courses[first][found[first].index(trends[first])], begin, trends[first].slope),
        seconds=span,
        trends=trends,
        steepest=max(found[first], key=lambda slope: slope.slope),
        base=base,
        share=share,
        need=need,
        p=min(1.0, tests * p),
        bent=_why_no_leak(counts, begin, courses[first][0], found[first][0].slope, share < _AMPLE * need),
    )


def _onset(times: Column, values: Column, begin: int, slope: float) -> float:
    """Where the line of the part from ``begin`` on meets the level of what was before. A part is looked at because of
    its length; a leak that began before it had been going on for less than half of the rest, or the longer part would be
    straight."""
    if begin == 0 or slope <= 0:
        return float(times[begin])
    late = times[begin:] - times[begin]
    risen = float(np.median(values[begin:] - slope * late) - np.median(values[:begin]))
    return float(np.clip(times[begin] - risen / slope, times[0], times[begin]))


def _why_no_leak(counts: Counts, begin: int, values: Column, slope: float, may_fill: bool) -> str:
    """Why the course is not that of a leak; empty where it is. ``may_fill``: the rise is small enough to be a cache."""
    times, live, workload = counts.times[begin:], counts.live[begin:], counts.first[1][begin:]
    excluded = straight.EXCLUDED if counts.source == BARRIER else _EXCLUDED_OF_CHANGES
    if bent := straight.why_not(times, values[begin:], slope, excluded):
        return bent
    if may_fill and counts.source == BARRIER and ratio_drift.fills(times, live, workload):
        return "the objects of a VMA rise slower and slower"
    if counts.source == BARRIER and ratio_drift.in_steps(times, live, workload):
        return "the objects of a VMA rise in a few steps"
    if ratio_drift.added_bring_more(times, live, workload, counts.source):
        return "a VMA that is added brings more objects than before"
    return ""


def _explained(counts: Counts, begin: int, slope: float) -> float:
    """Objects that the workload explains; where only changes are known, some for each regular anonymous VMA."""
    if counts.source != BARRIER:
        regular = counts.measures.get("regular anonymous VMAs", counts.first[1])
        return _EACH_OF_CHANGES * float(np.median(regular[begin:]))
    if begin:
        sixth = max((len(counts.live) - begin) // 6, 1)
        return float(np.median(counts.live[begin : begin + sixth]))
    return float(np.median(counts.live - max(slope, 0.0) * (counts.times - counts.times[0])))
