# SPDX-License-Identifier: MIT
"""What the work costs: durations of forks, prepares, promotions and walks, and whether reclaim and migration succeed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lazyobs import text
from lazyobs.soak.columns import growth, known, seconds
from lazyobs.soak.series import Distribution, Series
from lazyobs.soak.verdict import Finding, ResultTable

PERCENTILES = (0.5, 0.9, 0.99, 0.999)
HEADINGS = ("what", "count", "mean", "p50", "p90", "p99", "p99.9")
LEAST_COUNT = 100  # durations below which a mean says little


class Share(NamedTuple):
    """Of successes: the columns of /proc/vmstat that count them, and either the failures or the attempts."""

    name: str
    good: str
    bad: str = ""
    tried: str = ""


SHARES = (
    Share("reclaim of anonymous pages", "vmstat_pgsteal_anon", tried="vmstat_pgscan_anon"),
    Share("page migration", "vmstat_pgmigrate_success", bad="vmstat_pgmigrate_fail"),
    Share("huge page splits", "vmstat_thp_split_page", bad="vmstat_thp_split_page_failed"),
)


def mean(distribution: Distribution) -> float | None:
    """Seconds (or VMAs), exact: the sum is kept beside the buckets. None where nothing was counted."""
    count = float(distribution.counts.sum())
    return distribution.sum / count if count else None


def percentile(distribution: Distribution, share: float) -> float | None:
    """Below which that share lies, within its bucket (a factor of two wide) as if evenly spread in the logarithm."""
    total = np.cumsum(distribution.counts)
    if not len(total) or total[-1] == 0:
        return None
    slot = int(np.searchsorted(total, share * total[-1]))
    high = float(distribution.bounds[slot])
    if not np.isfinite(high):
        return float(distribution.bounds[slot - 1])
    below = float(total[slot - 1]) if slot else 0.0
    inside = (share * float(total[-1]) - below) / float(distribution.counts[slot])
    return float(high * 2 ** (inside - 1))


def exact_percentile(durations: Distribution, share: float) -> float:
    """Of durations known one by one, to three digits: the smallest that this share does not exceed."""
    total = np.cumsum(durations.counts)
    return float(durations.bounds[int(np.searchsorted(total, share * total[-1]))])


def success(series: Series, share: Share) -> tuple[float, float] | None:
    """(share of successes, attempts) while recording; None where the kernel does not count them or none was made."""
    good = growth(series.system, share.good)
    other = growth(series.system, share.bad or share.tried)
    if good is None or other is None:
        return None
    tried = other if share.tried else good + other
    return (good / tried, tried) if tried > 0 else None


def findings(series: Series) -> list[Finding]:
    """Shares of successes, as numbers: what is good enough only a comparison can say."""
    results = []
    for share in SHARES:
        found = success(series, share)
        if found is not None:
            rate, tried = found
            numbers = {"estimate": rate, "count": tried, "unit": "share"}
            results.append(
                Finding("cost", share.name, "", f"{rate:.2%} of {tried:.0f} succeeded", series.name, numbers)
            )
    return results + lock_waits(series) + forking(series)


def lock_wait_per_fork(series: Series) -> float | None:
    """Seconds that tasks waited for the locks of root anon_vmas, for each fork; None where waits or forks are too few
    to say."""
    waits, waited = growth(series.samples, "lock_waits"), growth(series.samples, "lock_waited_ns")
    forks = growth(series.samples, "forks")
    if waited is None or waits is None or forks is None or min(waits, forks) < LEAST_COUNT:
        return None
    return waited / 1e9 / forks


def lock_waits(series: Series) -> list[Finding]:
    """The waits for the locks of root anon_vmas; none where they are not counted."""
    names = ("lock_waits", "lock_write_waits", "lock_waited_ns")
    waits, writes, waited = (growth(series.samples, name) for name in names)
    if waits is None or writes is None or waited is None:
        return []
    said, numbers = f"{waits:.0f} waits, {writes:.0f} of them for writing" if waits else "none", {"count": waits}
    if waits:
        said += f"; {text.seconds(waited / 1e9)} in all"
        numbers["seconds"] = waited / 1e9
    per_fork = lock_wait_per_fork(series)
    if per_fork is not None:
        said += f", {text.seconds(per_fork)} for each fork"
        numbers["estimate"] = per_fork
    return [Finding("cost", "waits for the anon_vma lock", "", said, series.name, numbers)]


def forking(series: Series) -> list[Finding]:
    """How many of the processes that began and ended while recording never forked; none where that is not counted."""
    ends, forked = growth(series.samples, "ends"), growth(series.samples, "ends_forked")
    if not ends or forked is None:
        return []
    numbers = {"estimate": 1 - forked / ends, "count": ends, "unit": "share"}
    said = f"{1 - forked / ends:.0%} of {ends:.0f} that ended"
    return [Finding("cost", "processes that never forked", "", said, series.name, numbers)]


def table(series: Series) -> ResultTable | None:
    """Durations, percentiles of the events themselves where every one was recorded; None without function probes."""
    rows = []
    for name, distribution in series.distributions.items():
        count = int(distribution.counts.sum())
        if count == 0 or "_seconds" not in name:
            continue
        shown = [text.seconds(mean(distribution))]
        every = series.every(name)
        shown += [
            text.seconds(exact_percentile(every, share) if every is not None else percentile(distribution, share))
            for share in PERCENTILES
        ]
        rows.append((name.replace("_seconds", "").replace("_", " "), count, *shown))
    return ResultTable(f"{series.name}: durations", HEADINGS, tuple(rows)) if rows else None


def overhead(series: Series) -> list[Finding]:
    """What lazyobs itself took."""
    length = seconds(series)
    parts, numbers = [], {}
    own = growth(series.samples, "health_self_cpu_seconds")
    if own is not None and length:
        parts.append(f"{own / length:.2%} of one CPU")
        numbers["cpu_share"] = own / length
    programs = growth(series.samples, "health_bpf_seconds")
    if programs is not None and length:
        parts.append(f"BPF programs {programs / length:.2%} of one CPU")
        numbers["bpf_share"] = programs / length
    else:
        parts.append("time in BPF programs not known (kernel.bpf_stats_enabled is 0)")
    rss = known(series.samples, "health_self_rss_bytes")
    if len(rss):
        parts.append(f"{text.size(float(rss.max()))} of memory at most")
        numbers["rss_bytes"] = float(rss.max())
    maps = known(series.samples, "health_map_bytes")
    if len(maps):
        parts.append(f"{text.size(float(maps.max()))} of BPF maps")
        numbers["map_bytes"] = float(maps.max())
    found = [Finding("overhead", "lazyobs itself", "", ", ".join(parts), series.name, numbers)]
    return [*found, *_budget(series)]


def _budget(series: Series) -> list[Finding]:
    """How the cost of a sample lies to the budget, and what was shed for it; none where there was no budget."""
    allowed = known(series.samples, "health_budget_share")
    cpu, programs = (series.samples.get(name) for name in ("health_own_cpu_share", "health_bpf_share"))
    if not len(allowed) or cpu is None:
        return []
    own = cpu + (np.nan_to_num(programs) if programs is not None else 0.0)
    own = own[np.isfinite(own)]
    share = float(allowed[-1])
    over = int((own > share).sum())
    middle = float(np.median(own)) if len(own) else 0.0
    said = (
        f"{share:.3%} of the machine; {middle:.3%} in the middle sample, more than the budget in {over} of {len(own)}"
    )
    censuses = known(series.samples, "health_census_every")
    thinned = int((censuses > 1).sum())
    shed = growth(series.samples, "health_shed_seconds") or 0.0
    events = int((known(series.samples, "health_events_shed") > 0).sum())
    parts = [
        f"events in {events} {text.plural(events, 'sample')}" if events else "",
        f"probe points for {shed:.0f} s" if shed else "",
        f"censuses in {thinned} {text.plural(thinned, 'sample')}" if thinned else "",
    ]
    said += f"; shed: {', '.join(filter(None, parts)) or 'nothing'}"
    numbers = {"share": middle, "budget": share, "over": over, "count": len(own), "shed_seconds": shed}
    return [Finding("overhead", "budget", "", said, series.name, numbers)]
