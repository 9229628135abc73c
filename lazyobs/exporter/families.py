# SPDX-License-Identifier: MIT
"""The metrics as a table, derived from the schema: name, kind, labels, and the function that reads the numbers.

A row yields (label values, number). None is a number that this tier does not know, and makes no series. Each value of a
label that is known beforehand has its series from the first scrape, if only as 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from lazyobs import __version__, model
from lazyobs.exporter import buckets
from lazyobs.exporter.cgroups import Folded
from lazyobs.kernel.taint import TAINTS
from lazyobs.sources.orphans import READINGS, Orphans

PREFIX = "lazyobs_"
COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"


@dataclass
class Scrape:
    """The data of one scrape. Functions are called when a family first asks for their part."""

    sample: model.Sample
    cgroups: Callable[[], Folded]
    splats: Callable[[], dict[str, Any]]  # {"tainted": {flag: 0 or 1}, "warnings": n, "oopses": n}
    exporter: dict[str, float | None] = field(default_factory=dict)  # by EXPORTER names
    orphans: Callable[[], list[Orphans]] = list


Points = Iterator[tuple[tuple[str, ...], Any]]


@dataclass(frozen=True)
class Family:
    """``part`` is the value of ``collector`` in lazyobs_scrape_collector_success that covers it.

    A histogram's number is ([(le, cumulative count)], sum).
    """

    name: str
    kind: str
    help: str
    part: str
    points: Callable[[Scrape], Points]
    labels: tuple[str, ...] = ()
    unit: str = ""

    @property
    def full_name(self) -> str:
        """As it stands in a query; of a histogram, without _bucket, _sum and _count."""
        return PREFIX + self.name + ("_total" if self.kind == COUNTER else "")


def _single(read: Callable[[Scrape], Any]) -> Callable[[Scrape], Points]:
    def points(scrape: Scrape) -> Points:
        yield (), read(scrape)

    return points


# --- counters -------------------------------------------------------------------------------------


def _counter(counter: model.Counter) -> Family:
    def points(scrape: Scrape) -> Points:
        totals = scrape.sample.totals
        split = totals.get(counter.split_key) if counter.split else None
        if split is not None:
            yield from (((value,), split.get(value)) for value in counter.values)
        else:
            # The split is not known: one series without the label (in Prometheus, with an empty one).
            yield ("",) if counter.split else (), _in_seconds(counter, totals.get(counter.name))

    return Family(_metric(counter), COUNTER, counter.help, "totals", points, (counter.split,) if counter.split else ())


def _exited(counter: model.Counter) -> Family:
    return Family(
        f"exited_{_metric(counter)}",
        COUNTER,
        f"the part of {PREFIX}{_metric(counter)}_total that belongs to ended processes",
        "exited",
        _single(lambda scrape: _in_seconds(counter, scrape.sample.exited.get(counter.name))),
    )


def _metric(counter: model.Counter) -> str:
    """Times are in seconds."""
    return counter.name.removesuffix("_ns") + ("_seconds" if counter.name.endswith("_ns") else "")


def _in_seconds(counter: model.Counter, count: float | None) -> float | None:
    return count / 1e9 if counter.name.endswith("_ns") and count is not None else count


# --- histograms -----------------------------------------------------------------------------------

# There is a counter rmap_walk_vmas too, and a page may have a name only once.
_HISTOGRAM_NAMES = {"rmap_walk_vmas": "rmap_walk_length_vmas"}
# Split in the schema, not in the metrics: a counter beside each has the label, and a host few series.
_UNSPLIT = ("rmap_walk_vmas", "lock_wait_seconds", "lock_hold_seconds", "cow_seconds")


def _histogram(histogram: model.Histogram) -> Family:
    def number(found: dict[str, Any] | None) -> Any:
        return None if found is None else (buckets.chosen(found, histogram.unit), found["sum"])

    def points(scrape: Scrape) -> Points:
        all_series = scrape.sample.histograms
        series = [all_series.get(name) for name in histogram.series()]
        if histogram.name in _UNSPLIT:
            known = [found for found in series if found is not None]
            yield (), number(buckets.added(known)) if known else None
        else:
            values: list[tuple[str, ...]] = [(value,) for value in histogram.values] or [()]
            yield from zip(values, map(number, series))

    labels = (histogram.split,) if histogram.split and histogram.name not in _UNSPLIT else ()
    name = _HISTOGRAM_NAMES.get(histogram.name, histogram.name)
    return Family(name, HISTOGRAM, histogram.help, "histograms", points, labels, histogram.unit)


# --- census ---------------------------------------------------------------------------------------

_STATE_HELP = (
    "by state: plain has no anonymous memory; lazy, private, shared have (anonymous: one of these, not known which)"
)


def _states(census: dict[str, int | None]) -> Points:
    counts = model.vmas_by_state(census)
    yield from (((state,), count) for state, count in counts.items())
    if all(count is None for state, count in counts.items() if state != "plain"):
        yield ("anonymous",), census.get("vmas_anon")


def _vmas(scrape: Scrape) -> Points:
    yield from _states(scrape.sample.census)


def _census_column(name: str, help_text: str) -> Family:
    return Family(name, GAUGE, help_text, "census", _single(lambda scrape: scrape.sample.census.get(name)))


def _cgroup_vmas(scrape: Scrape) -> Points:
    for row in scrape.cgroups().rows:
        for (state,), count in _states(row.census):
            yield (row.path, state), count


def _cgroup_column(name: str, help_text: str) -> Family:
    def points(scrape: Scrape) -> Points:
        for row in scrape.cgroups().rows:
            yield (row.path,), row.census[name]

    return Family(f"cgroup_{name}", GAUGE, f"{help_text}, by cgroup", "cgroups", points, ("cgroup",))


def _cgroup_processes(scrape: Scrape) -> Points:
    for row in scrape.cgroups().rows:
        yield (row.path,), row.processes


_STATES_AND_VMAS = {"vmas", "vmas_anon", *(f"vmas_{state}" for state in model.VMA_STATE_NAMES)}
# What is no count of VMAs, which the family "vmas" has by state.
_OTHER_COLUMNS = tuple((name, text) for name, text in model.CENSUS_COLUMNS if name not in _STATES_AND_VMAS)
# By cgroup there are these alone: every column is a series for each cgroup.
_BY_CGROUP = ("saved_bytes", "savable_bytes")
_CGROUP_COLUMNS = tuple((name, text) for name, text in _OTHER_COLUMNS if name in _BY_CGROUP)

# --- slabs ----------------------------------------------------------------------------------------


def _slab(name: str, help_text: str, read: Callable[[model.Slab], Any]) -> Family:
    def points(scrape: Scrape) -> Points:
        for slab in scrape.sample.slabs:
            yield (slab.cache,), read(slab)

    return Family(name, GAUGE, help_text, "slabs", points, ("cache",))


def _slab_merge(scrape: Scrape) -> Points:
    for slab in scrape.sample.slabs:
        yield (slab.cache, ",".join(slab.merged_with)), 1


_ORPHAN_HELP = (
    f"live objects that no VMA holds (of a merged cache: beyond those at the first readings): the fewest of {READINGS} readings "
    "after a shrink of the cache, taken at a scrape when the last are 5 minutes old"
)


def _orphans(name: str, help_text: str, read: Callable[[Orphans], int | None]) -> Family:
    def points(scrape: Scrape) -> Points:
        for found in scrape.orphans():
            yield (found.cache,), read(found)

    return Family(name, GAUGE, help_text, "orphans", points, ("cache",))


# --- kernel, probes, health -----------------------------------------------------------------------


def _kernel(scrape: Scrape) -> Points:
    kernel = scrape.sample.kernel
    lazy = {True: "on", False: "off", None: "none"}[kernel.lazy_enabled]
    yield (kernel.release, kernel.profile, lazy), 1


def _probes(scrape: Scrape) -> Points:
    for point, tier in scrape.sample.tiers.items():
        yield (point, tier or ""), 0 if tier is None else 1


def _tainted(scrape: Scrape) -> Points:
    flags = scrape.splats()["tainted"]
    for flag in TAINTS:
        yield (flag,), flags[flag]


def _lock_families(scrape: Scrape) -> Points:
    if "families" not in scrape.sample.null_reasons:
        yield (), len(scrape.sample.families)


def _longest_wait(scrape: Scrape) -> Points:
    if "families" not in scrape.sample.null_reasons:
        yield (), max((family.longest_ns for family in scrape.sample.families), default=0) / 1e9


# Health columns that only grow, under a name with a unit where their own has none. All others are gauges.
_HEALTH_COUNTERS = {
    "ring_lost": "ring_lost_events",
    "map_full": "map_full_insertions",
    "recursion_misses": "recursion_misses",
    "locks_unplaced": "locks_unplaced",
    "bpf_runs": "bpf_runs",
    "bpf_seconds": "bpf_seconds",
    "self_cpu_seconds": "self_cpu_seconds",
    "loader_cpu_seconds": "loader_cpu_seconds",
    "shed_seconds": "shed_seconds",
}
_HEALTH_GAUGES = {"ledger_residual": "ledger_residual_objects"}
# Of the time between two readings: rate() of self_cpu_seconds and loader_cpu_seconds says the same of any time.
NO_METRICS = ("own_cpu_share",)
_HEALTH_NOTES = {"ring_lost": " (with --replay alone: the live exporter has no stream of events that could be lost)"}


def _health(name: str, help_text: str) -> Family:
    kind = COUNTER if name in _HEALTH_COUNTERS else GAUGE
    metric = _HEALTH_COUNTERS.get(name) or _HEALTH_GAUGES.get(name, name)
    help_text += _HEALTH_NOTES.get(name, "")
    return Family(metric, kind, help_text, "health", _single(lambda scrape: scrape.sample.health.get(name)))


# The exporter's numbers about itself: name, kind, help.
EXPORTER = (
    ("attach_time_seconds", GAUGE, "unix time since when the counters count"),
    (
        "probes_loading",
        GAUGE,
        "1 while the probes are still being loaded (a busy start): there are no counters until then",
    ),
    ("scrape_read_seconds", GAUGE, "time this reading took"),
    ("http_connections", COUNTER, "connections accepted"),
    ("http_connections_cut", COUNTER, "connections cut off: too slow, or too many at once"),
)


def _build(_scrape: Scrape) -> Points:
    yield (__version__,), 1


def _exporter(name: str, kind: str, help_text: str) -> Family:
    return Family(name, kind, help_text, "exporter", _single(lambda scrape: scrape.exporter.get(name)))


# The sum of a histogram is the same number in seconds.
_COUNTERS = tuple(counter for counter in model.COUNTERS if counter.name != "lock_waited_ns")

FAMILIES: tuple[Family, ...] = (
    Family("build_info", GAUGE, "version of lazyobs", "exporter", _build, ("version",)),
    Family(
        "kernel_info", GAUGE, "the kernel: release, profile, whether VMAs become lazy (on, off, or none where none can)",
        "kernel", _kernel, ("release", "profile", "lazy"),
    ),
    Family(
        "probe_attached", GAUGE, "1 where the probe point is attached, and the tier it got; 0 and no tier otherwise",
        "probes", _probes, ("probe", "tier"),
    ),
    *(_counter(counter) for counter in _COUNTERS),
    *(_exited(counter) for counter in _COUNTERS),
    *(_histogram(histogram) for histogram in model.HISTOGRAMS),
    Family("vmas", GAUGE, f"VMAs of all address spaces, {_STATE_HELP}", "census", _vmas, ("state",)),
    *(_census_column(*column) for column in _OTHER_COLUMNS),
    Family("processes", GAUGE, "processes of the reading", "processes", _single(lambda scrape: len(scrape.sample.processes))),
    Family("cgroup_vmas", GAUGE, "VMAs by cgroup and state; an address space that processes share counts in each of them", "cgroups", _cgroup_vmas, ("cgroup", "state")),
    *(_cgroup_column(*column) for column in _CGROUP_COLUMNS),
    Family("cgroup_processes", GAUGE, "processes by cgroup", "cgroups", _cgroup_processes, ("cgroup",)),
    Family("cgroups", GAUGE, "cgroups at the configured depth", "cgroups", _single(lambda scrape: scrape.cgroups().found)),
    Family(
        "cgroups_in_other", GAUGE, "of those, the ones summed up under \"other\"",
        "cgroups", _single(lambda scrape: scrape.cgroups().hidden),
    ),
    _slab("slab_objects", "objects that the slabs of the cache have space for", lambda slab: slab.objects),
    _slab("slab_objects_active", "objects in use, and free ones on per-CPU slabs and in sheaves", lambda slab: slab.objects_active),
    _slab(
        "slab_objects_free_at_most", "most of the active objects that may be free: what per-CPU slabs and sheaves can hold",
        lambda slab: slab.objects_free_at_most,
    ),
    _slab("slab_object_bytes", "space of one object in its slab", lambda slab: slab.object_bytes),
    Family(
        "slab_merge_info", GAUGE, "caches whose objects are counted in this cache's row, because the kernel merged them",
        "slabs", _slab_merge, ("cache", "merged_with"),
    ),
    _orphans("orphan_objects", _ORPHAN_HELP, lambda found: found.orphans),
    _orphans("orphan_objects_spread", f"how far those readings of {PREFIX}orphan_objects lie apart", lambda found: found.spread),
    Family("kernel_tainted", GAUGE, "taint flags of the kernel", "splats", _tainted, ("flag",)),
    Family("kernel_warnings", COUNTER, "WARN()s since boot", "splats", _single(lambda scrape: scrape.splats()["warnings"])),
    Family("kernel_oopses", COUNTER, "oopses since boot", "splats", _single(lambda scrape: scrape.splats()["oopses"])),
    Family("lock_families", GAUGE, f"families of processes that have waited for the lock of their root anon_vma, {model.MOST_FAMILIES} at most", "families", _lock_families),
    Family("lock_families_longest_wait_seconds", GAUGE, "the longest wait in any of these families since attach", "families", _longest_wait),
    *(_health(name, text) for name, text in model.HEALTH_COLUMNS if name not in NO_METRICS),
    *(_exporter(*row) for row in EXPORTER),
)  # fmt: skip

PARTS = tuple(dict.fromkeys(family.part for family in FAMILIES))
SUCCESS = (f"{PREFIX}scrape_collector_success", "1 where that part of the scrape could be read", "collector")
