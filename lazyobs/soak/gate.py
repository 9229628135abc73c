# SPDX-License-Identifier: MIT
"""Whether a recording can carry a verdict at all. What does not hold here makes it INCONCLUSIVE, never PASS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lazyobs.soak.columns import growth, known, seconds, settled
from lazyobs.soak.series import Series
from lazyobs.soak.thresholds import Thresholds
from lazyobs.soak.verdict import INCONCLUSIVE, PASS, Finding
from lazyobs.text import plural


class _Check(NamedTuple):
    """``holds`` None: it cannot be known. ``text`` says what was found."""

    name: str
    holds: bool | None
    text: str


WORKLOAD = "workload"  # the one condition that only a test beside the workload needs


def findings(
    series: Series, thresholds: Thresholds, least_seconds: float, barriers: bool = True, steady: bool = True
) -> list[Finding]:
    """One for each condition. ``barriers``: whether a leak test is to follow; ``steady``: whether it needs a steady
    load: where orphans were counted it does not, and a load that changed is only reported."""
    checks = [*_checks(series, thresholds, least_seconds)]
    if barriers:
        checks.append(_barriers(series, thresholds))
    return [Finding("validity", check.name, _outcome(check, steady), check.text, series.name) for check in checks]


def _outcome(check: _Check, steady: bool) -> str:
    if check.holds:
        return PASS
    return "" if check.name == WORKLOAD and not steady else INCONCLUSIVE


def _checks(series: Series, thresholds: Thresholds, least_seconds: float) -> Iterator[_Check]:
    rules = thresholds.gate
    length = seconds(series)
    # From the first sample to the last: up to an interval less than the recording lasted.
    yield _Check(
        "enough data", length + series.interval >= least_seconds and series.count >= rules["samples"],
        f"{series.count} {plural(series.count, 'sample')} in {_span(length)}; {_span(least_seconds)} and {rules['samples']:g} samples are needed",
    )  # fmt: skip
    yield _whole(series)
    yield from _probes(series, rules["probes_missing"])
    yield from _losses(series, rules, length)
    yield _gaps(series, rules["gap_share"], length)
    jumps = sum(mark.kind == "clock_jump" for mark in series.marks)
    yield _Check("clock", jumps <= rules["clock_jumps"], f"{jumps} {plural(jumps, 'time')} set")
    yield _workload(series, rules["workload_factor"], thresholds)
    yield from _overhead(series, rules, length)
    yield _switch(series)


def _span(length: float) -> str:
    return f"{length / 60:.4g} minutes" if length >= 600 else f"{length:.0f} s"


def _whole(series: Series) -> _Check:
    ends = [mark for mark in series.marks if mark.kind == "end"]
    if series.damage:
        return _Check("whole", False, "; ".join(series.damage))
    if series.torn:
        return _Check(
            "whole", False, f"cut off in {', '.join(series.torn)}: the recorder was killed, or the machine died"
        )
    if not ends:
        return _Check("whole", False, "has no end: the recorder was killed, the machine died, or it is still recording")
    unchecked = "" if series.checksummed else "; not checksummed: an earlier lazyobs made it"
    return _Check("whole", ends[-1].text == "ended", f"the recording {ends[-1].text or 'ended'}{unchecked}")


def _probes(series: Series, most: float) -> Iterator[_Check]:
    no_bpf = series.identity.get("no_bpf")
    missing = known(series.samples, "health_probes_missing")
    if no_bpf:
        yield _Check("probes", False, f"no BPF: {no_bpf}")
    elif not len(missing):
        yield _Check("probes", None, "whether probes were missing is not known")
    else:
        tiers = sorted({tier or "none" for tier in (series.last.get("tiers") or {}).values()})
        yield _Check("probes", missing.max() <= most, f"{missing.max():g} required points missing; tiers {', '.join(tiers)}")  # fmt: skip
    before, after = (part.get("tiers") for part in (series.first, series.last))
    if before != after:
        yield _Check("probes kept", False, "probe points changed their tier while recording")
    elif shed := growth(series.samples, "health_shed_seconds"):
        yield _Check("probes kept", False, f"the budget shed probe points for {shed:.0f} s")
    elif series.unwatched:
        began = f"attached {series.unwatched:.0f} s after the recording began, which is judged from then on"
        yield _Check("probes kept", True, began)


def _losses(series: Series, rules: dict[str, float], length: float) -> Iterator[_Check]:
    lost = sum(mark.value or 0 for mark in series.marks if mark.kind == "lost")
    most = rules["lost_a_minute"] * length / 60
    if np.isnan(series.events_lost):
        yield _Check("events", False, "an unknown number of events lost: the file is damaged")
    else:
        lost += series.events_lost
        yield _Check("events", lost <= most, f"{lost:.0f} {plural(lost, 'event')} lost; limit {most:.0f}")
    full = known(series.samples, "health_map_full")
    if len(full):
        yield _Check(
            "maps",
            full.max() <= rules["map_full"],
            f"{full.max():.0f} {plural(full.max(), 'insertion')} refused by full maps",
        )
    log_lost = sum(mark.value or 0 for mark in series.marks if mark.kind == "log_lost")
    yield _Check(
        "kernel log",
        log_lost <= rules["log_lost"],
        f"{log_lost:.0f} {plural(log_lost, 'line')} overwritten before being read",
    )
    failed = len({mark.time for mark in series.marks if mark.kind == "failed"})
    share = failed / series.count
    yield _Check(
        "samples",
        share <= rules["failed_share"],
        f"{failed} {plural(failed, 'sample')} in part unreadable ({share:.1%})",
    )


def _gaps(series: Series, most: float, length: float) -> _Check:
    """Stalls and suspends are marked; samples that are not there (dropped by a limit) show between their times, and so
    do suspends, of which "elapsed" knows nothing."""
    marked = [mark.value or 0 for mark in series.marks if mark.kind in ("stall", "suspend")]
    times = series.samples["time"]
    holes = np.diff(times) - series.samples["elapsed"][1:]
    for mark in series.marks:
        if mark.kind == "suspend" and times[0] < mark.time <= times[-1]:
            holes[np.searchsorted(times, mark.time) - 1] -= mark.value or 0
    holes = holes[holes > series.interval + 1]
    missing = sum(marked) + float(holes.sum())
    share = missing / length if length else 1.0
    gaps = len(marked) + len(holes)
    text = f"{missing:.1f} s without samples in {gaps} {plural(gaps, 'gap')} ({share:.1%})"
    return _Check("gaps", share <= most, text)


def _workload(series: Series, factor: float, thresholds: Thresholds) -> _Check:
    times = series.samples["time"]
    vmas = series.samples["vmas"][settled(times, thresholds)]
    vmas = vmas[np.isfinite(vmas)]
    third = len(vmas) // 3
    if third == 0:
        return _Check(WORKLOAD, None, "how many VMAs there were is not known")
    begin, end = float(vmas[:third].mean()), float(vmas[-third:].mean())  # a median would jump with a burst
    steady = begin > 0 and 1 / factor <= end / begin <= factor
    found = f"{begin:.0f} VMAs on average in its first third, {end:.0f} in its last"
    return _Check(WORKLOAD, steady, found + ("" if steady else f"; limit a factor of {factor:g} either way"))


def _overhead(series: Series, rules: dict[str, float], length: float) -> Iterator[_Check]:
    own = growth(series.samples, "health_self_cpu_seconds")
    if own is not None and length:
        most = rules["self_cpu_share"]
        yield _Check("own CPU", own / length <= most, f"lazyobs used {own / length:.2%} of one CPU; limit {most:.0%}")
    programs = growth(series.samples, "health_bpf_seconds")
    cpus = series.identity.get("cpus")
    if programs is not None and length and cpus:
        share = programs / length / cpus
        yield _Check(
            "BPF programs",
            share <= rules["bpf_share"],
            f"BPF programs used {share:.2%} of {cpus} CPUs; limit {rules['bpf_share']:.0%}",
        )


def _switch(series: Series) -> _Check:
    first, last = (_lazy(part) for part in (series.first, series.last))
    names = {True: "on", False: "off", None: "none"}
    if first != last:
        return _Check("switch", False, f"the lazy switch was moved from {names[first]} to {names[last]}")
    return _Check("switch", True, f"lazy switch {names[first]}")


def _lazy(part: dict[str, dict[str, bool | None]]) -> bool | None:
    return (part.get("kernel") or {}).get("lazy_enabled")


def _barriers(series: Series, thresholds: Thresholds) -> _Check:
    have = int(settled(series.barriers["time"], thresholds).sum())
    need = int(thresholds.gate["barriers"])
    return _Check("barrier samples", have >= need, f"{have} after the warm-up, {need} are needed")
