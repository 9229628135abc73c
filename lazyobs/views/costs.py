# SPDX-License-Identifier: MIT
"""What anonymous reverse mapping costs a machine, from two samples: the objects it holds and for whom, what laziness
spares, what forks cost. Nothing here prints.

Every number may be None; ``Costs.null_reasons`` has the reason, by the name that the JSON form has for the number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from lazyobs.model import LOCK_PATHS, Process, Sample, Slab
from lazyobs.sources.units import unit
from lazyobs.views import culprits
from lazyobs.views.culprits import Culprit

MOST_HOLDERS = 3
_ANON_VMA, _CHAIN = "anon_vma", "anon_vma_chain"
_FORK_TIME = "fork_duration_seconds"
_NOT_READ = "not in this sample, which an earlier lazyobs made"


@dataclass(frozen=True)
class Objects:
    """Live objects and their room in the slab, in bytes. ``source``: "census" where each was found on a VMA,
    "slabinfo" where the cache's active objects are taken for live ones, None where neither is known."""

    anon_vmas: int | None
    anon_vma_bytes: int | None
    chains: int | None
    chain_bytes: int | None
    source: str | None

    @property
    def bytes(self) -> int | None:
        return _sum(self.anon_vma_bytes, self.chain_bytes)


@dataclass(frozen=True)
class Forks:
    """Between the two samples. ``chains_each``: of the forks that copied an address space, where those are counted.
    ``seconds_each``: mean time of such a fork."""

    count: int | None
    per_second: float | None
    chains_per_second: float | None
    chains_each: float | None
    seconds_each: float | None


@dataclass(frozen=True)
class Waits:
    """For the lock of a root anon_vma, between the two samples. ``busiest``: the path that waited longest, of
    LOCK_PATHS, and its part of the time."""

    count: int | None
    per_second: float | None
    seconds_each: float | None
    cpu_share: float | None  # seconds waited in a second
    busiest: str | None
    busiest_share: float | None


@dataclass(frozen=True)
class Holder:
    """A process, or a cgroup: the slab space of the anon_vmas and chains of its VMAs. ``pid``, ``user``, ``args``: None
    of a cgroup, whose ``unit`` is its systemd unit or container, or else its path. ``grown``: bytes more than in the first sample; None if it was not there yet."""

    name: str
    pid: int | None
    user: str | None
    processes: int
    bytes: int
    share: float | None  # of what the machine holds
    grown: int | None
    args: str | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Family:
    """A process and its children of the same name."""

    name: str
    parent: int
    children: int
    bytes: int
    share: float | None


@dataclass
class Costs:
    """``seconds``: between the samples. Shares are of 1."""

    time: float
    seconds: float
    kernel: dict[str, Any]
    processes: int
    vmas: int | None
    held: Objects
    bytes: int | None
    share_of_slab: float | None
    share_of_memory: float | None
    bytes_per_process: float | None
    bytes_per_vma: float | None
    unshared_vmas: int | None
    spared_low: int | None  # bytes: what a lazy kernel would not allocate
    spared_high: int | None
    saved_bytes: int | None  # bytes: what this kernel's laziness spares now
    forks: Forks
    waits: Waits
    grown_anon_vmas: int | None
    grown_chains: int | None
    grown_bytes: int | None
    largest_processes: list[Holder]
    largest_cgroups: list[Holder]
    largest_family: Family | None
    culprit: Culprit | None  # of what has grown
    lazy_vmas: int | None
    violations: int | None
    null_reasons: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class _Sizes(NamedTuple):
    """Bytes of one object in its slab; None if slabinfo does not show them."""

    anon_vma: int | None
    chain: int | None

    def of(self, census: Mapping[str, int | None]) -> int | None:
        """Bytes of the objects that the VMAs of a census hold."""
        held = census.get("anon_vmas_held"), census.get("chains_held")
        return _sum(_product(held[0], self.anon_vma), _product(held[1], self.chain))


def costs(first: Sample, last: Sample, memory: Mapping[str, int], seconds: float) -> Costs:
    """``memory`` as Source.memory gives it; ``seconds`` between the samples, by a clock that is never set. The two may be
    the same: then nothing is known per second."""
    sizes = _Sizes(*(_slab(last, cache, "object_bytes") for cache in (_ANON_VMA, _CHAIN)))
    held, before = _held(last, sizes), _held(first, sizes)
    total = held.bytes
    vmas, processes = last.census.get("vmas"), len(last.processes)
    comparable = first is not last and held.source == before.source
    found = Costs(
        time=last.time,
        seconds=round(seconds, 3),
        kernel=dict(vars(last.kernel)),
        processes=processes,
        vmas=vmas,
        held=held,
        bytes=total,
        share_of_slab=_share(total, memory.get("Slab_bytes")),
        share_of_memory=_share(total, memory.get("MemTotal_bytes")),
        bytes_per_process=_share(total, processes),
        bytes_per_vma=_share(total, vmas),
        unshared_vmas=last.census.get("vmas_private"),
        spared_low=last.census.get("savable_low_bytes"),
        spared_high=last.census.get("savable_high_bytes"),
        saved_bytes=last.census.get("saved_bytes"),
        forks=_forks(first, last, seconds),
        waits=_waits(first, last, seconds),
        grown_anon_vmas=_difference(held.anon_vmas, before.anon_vmas) if comparable else None,
        grown_chains=_difference(held.chains, before.chains) if comparable else None,
        grown_bytes=_difference(total, before.bytes) if comparable else None,
        largest_processes=_largest(_by_process(last, sizes), _by_process(first, sizes), total),
        largest_cgroups=_largest(_by_cgroup(last, sizes), _by_cgroup(first, sizes), total),
        largest_family=_largest_family(last.processes, sizes, total),
        culprit=culprits.culprit(first.processes, last.processes) if comparable else None,
        lazy_vmas=last.census.get("vmas_lazy"),
        violations=last.totals.get("violations"),
    )
    found.null_reasons = dict(_null_reasons(found, last, memory))
    return found


def _held(sample: Sample, sizes: _Sizes) -> Objects:
    counts = sample.census.get("anon_vmas_held"), sample.census.get("chains_held")
    source: str | None = "census"
    if None in counts:
        counts = tuple(_slab(sample, cache, "objects_active") for cache in (_ANON_VMA, _CHAIN))  # type: ignore[assignment]
        source = None if counts == (None, None) else "slabinfo"
    anon_vmas, chains = counts
    return Objects(anon_vmas, _product(anon_vmas, sizes.anon_vma), chains, _product(chains, sizes.chain), source)


def _slab(sample: Sample, cache: str, column: str) -> int | None:
    """None, too, for the objects of a row that other caches share."""
    for slab in sample.slabs:
        if slab.cache == cache and not (slab.merged_with and column != "object_bytes"):
            value: int | None = getattr(slab, column)
            return value
    return None


def _forks(first: Sample, last: Sample, seconds: float) -> Forks:
    if first is last or seconds <= 0:
        return Forks(None, None, None, None, None)
    count = _difference(last.totals.get("forks"), first.totals.get("forks"))
    chains = _difference(last.totals.get("fork_chains"), first.totals.get("fork_chains"))
    timed, before = last.histograms.get(_FORK_TIME), first.histograms.get(_FORK_TIME)
    each, copies = None, count
    if timed and before and timed["count"] > before["count"]:
        copies = timed["count"] - before["count"]
        each = (timed["sum"] - before["sum"]) / copies
    return Forks(count, _share(count, seconds), _share(chains, seconds), _share(chains, copies), each)


def _waits(first: Sample, last: Sample, seconds: float) -> Waits:
    count = _difference(last.totals.get("lock_waits"), first.totals.get("lock_waits"))
    waited = _difference(last.totals.get("lock_waited_ns"), first.totals.get("lock_waited_ns"))
    if first is last or seconds <= 0 or count is None:
        return Waits(None, None, None, None, None, None)
    by_path = {path: _waited(last, path) - _waited(first, path) for path in LOCK_PATHS}
    busiest = max(by_path, key=lambda path: by_path[path])
    known = by_path[busiest] > 0
    return Waits(
        count,
        count / seconds,
        _share(waited, 1e9 * count),
        _share(waited, 1e9 * seconds),
        busiest if known else None,
        _share(by_path[busiest], sum(by_path.values())) if known else None,
    )


def _waited(sample: Sample, path: str) -> float:
    found = sample.histograms.get(f"lock_wait_seconds{{{path}}}")
    return float(found["sum"]) if found else 0.0


def _by_process(sample: Sample, sizes: _Sizes) -> dict[object, tuple[list[Process], int]]:
    """{identity: (the process, bytes)}, where known."""
    known = ((process, sizes.of(process.census)) for process in sample.processes)
    return {(one.pid, one.start_time): ([one], held) for one, held in known if held is not None}


def _by_cgroup(sample: Sample, sizes: _Sizes) -> dict[object, tuple[list[Process], int]]:
    members: dict[str, list[Process]] = defaultdict(list)
    for process in sample.processes:
        if process.cgroup is not None and sizes.of(process.census) is not None:
            members[process.cgroup].append(process)
    return {path: (those, sum(sizes.of(one.census) or 0 for one in those)) for path, those in members.items()}


def _largest(
    now: dict[object, tuple[list[Process], int]], before: dict[object, tuple[list[Process], int]], total: int | None
) -> list[Holder]:
    ranked = sorted(now.items(), key=lambda item: item[1][1], reverse=True)
    return [
        _holder(key, those, held, before.get(key, ([], None))[1], total) for key, (those, held) in ranked if held
    ][:MOST_HOLDERS]  # fmt: skip


def _holder(key: object, those: list[Process], held: int, before: int | None, total: int | None) -> Holder:
    grown, share = _difference(held, before), _share(held, total)
    if isinstance(key, str):
        return Holder(key, None, None, len(those), held, share, grown, unit=unit(key))
    one = those[0]
    return Holder(one.comm, one.pid, one.user, 1, held, share, grown, one.args)


def _largest_family(processes: Iterable[Process], sizes: _Sizes, total: int | None) -> Family | None:
    """The processes of one name that one parent of that name made, and the parent."""
    by_pid = {process.pid: process for process in processes}
    members: dict[int, list[Process]] = defaultdict(list)
    for process in by_pid.values():
        made_by = by_pid.get(process.ppid or 0)
        if made_by is not None and made_by.comm == process.comm:
            members[made_by.pid].append(process)
    families = [
        (sum(sizes.of(one.census) or 0 for one in (*children, by_pid[parent])), parent, children)
        for parent, children in members.items()
    ]
    if not families:
        return None
    held, parent, children = max(families, key=lambda family: family[0])
    return Family(by_pid[parent].comm, parent, len(children), held, _share(held, total))


# {number: the names in Sample.null_reasons that explain it, the nearest first}
_EXPLAINED: dict[str, tuple[str, ...]] = {
    "unshared_vmas": ("census.vmas_private", "processes.vmas_private", "census"),
    "spared_low": ("census.savable_low_bytes", "processes.savable_low_bytes", "census"),
    "spared_high": ("census.savable_high_bytes", "processes.savable_high_bytes", "census"),
    "saved_bytes": ("census.saved_bytes", "processes.saved_bytes", "census"),
    "vmas": ("census.vmas", "processes.vmas", "census"),
    "lazy_vmas": ("census.vmas_lazy", "processes.vmas_lazy", "census"),
    "violations": ("totals.violations", "totals"),
}


def _null_reasons(found: Costs, sample: Sample, memory: Mapping[str, int]) -> Iterable[tuple[str, str]]:
    def why(*names: str) -> str:
        return next((sample.null_reasons[name] for name in names if name in sample.null_reasons), _NOT_READ)

    for name, sources in _EXPLAINED.items():
        if getattr(found, name) is None:
            yield name, why(*sources)
    if found.held.source != "census":
        merged = [slab for slab in sample.slabs if slab.cache in (_ANON_VMA, _CHAIN) and slab.merged_with]
        reason = why("census.chains_held", "processes.chains_held", "census", "processes.vmas_private")
        yield "largest_processes", reason
        if found.bytes is None:
            yield "held", f"{reason}; {_shared(merged[0], sample)}" if merged else why("slabs")
    elif found.bytes is None:  # the census counts objects; their size comes from slabinfo
        yield "held", why("slabs")
    for name in ("share_of_slab", "share_of_memory"):
        if getattr(found, name) is None and found.bytes is not None:
            yield name, "/proc/meminfo is not known" if not memory else _NOT_READ
    if found.forks.count is None:
        yield "forks", "one sample alone has no rate" if found.seconds <= 0 else why("totals.forks", "totals")
    if found.forks.seconds_each is None:
        yield "forks.seconds_each", why(f"histograms.{_FORK_TIME}", "histograms") if found.forks.count else "no fork was seen"  # fmt: skip
    if found.waits.count is None:
        yield "waits", "one sample alone has no rate" if found.seconds <= 0 else why("totals.lock_waits", "totals")
    if found.culprit is None:
        yield "culprit", _why_no_culprit(found, why("census.chains_held", "processes.chains_held", "census"))
    if found.grown_bytes is None:
        yield "grown_bytes", "one sample alone shows no growth" if found.seconds <= 0 else why("held", "census")


def _shared(slab: Slab, sample: Sample) -> str:
    hidden = sample.null_reasons.get("slabs.merged_with")
    return hidden or f"slabinfo counts {slab.cache} together with {slab.merged_with[0]}"


def _why_no_culprit(found: Costs, why: str) -> str:
    if found.grown_chains is None or found.grown_anon_vmas is None:
        return "one sample alone shows no growth" if found.seconds <= 0 else why
    if found.grown_chains + found.grown_anon_vmas < culprits.LEAST:
        return "nothing has grown"
    return "no process, family, cgroup or name accounts for half of the growth"


def _map(function: Callable[..., Any], *values: float | None) -> Any:
    return None if None in values else function(*values)


def _sum(*values: int | None) -> int | None:
    found: int | None = _map(lambda *known: sum(known), *values)
    return found


def _product(one: int | None, other: int | None) -> int | None:
    found: int | None = _map(lambda a, b: a * b, one, other)
    return found


def _difference(now: int | None, before: int | None) -> int | None:
    found: int | None = _map(lambda a, b: a - b, now, before)
    return found


def _share(part: float | None, whole: float | None) -> float | None:
    """None, too, of nothing."""
    found: float | None = _map(lambda a, b: a / b if b else None, part, whole)
    return found
