# SPDX-License-Identifier: MIT
"""The schema: every counter, histogram, process and health column as a row of data, and the Sample.

Views, the JSON schema, recordings and metric names derive from these tables; add a number here once. None means
"cannot be known at this tier" and is never written as 0; ``Sample.null_reasons`` gives the reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lazyobs import invariants

LEAST_INTERVAL, MOST_INTERVAL = 0.05, 86400.0  # seconds between samples
TIERS = ("fentry", "kprobe", "tracepoint", "procfs")  # best first; the census calls its own tier "iter"

REASONS = ("fork", "split", "merge", "mremap", "ksm", "thp", "migration", "other")
WALKERS = ("unmap", "migrate", "referenced", "remove_migration", "ksm", "idle", "damon", "other")
# What a task was about when it waited for the lock of an anon_vma's root.
LOCK_PATHS = ("prepare", "fork", "unmap", "split", "merge", "mremap", "walk", "promotion", "other")
# What a task was about while it held that lock, as far as the functions that take it can be timed.
HOLD_PATHS = ("fork", "unmap", "clone")
# What the chains of a VMA are copied for; the kernel's words are in bpf/clone_causes.py.
CLONE_CAUSES = ("fork", "split", "merge", "mremap", "other")
# Whose a page is that a write copies: of the process that writes, or of one that it was forked from.
COW_PAGES = ("own", "inherited")
INVARIANTS = tuple(row.name for row in invariants.ROWS)


@dataclass(frozen=True)
class Counter:
    """A cumulative count since attach. ``split`` names the label that divides it in totals."""

    name: str
    help: str
    split: str = ""
    values: tuple[str, ...] = ()

    @property
    def split_key(self) -> str:
        """Key of the divided counts in totals: {label value: count}."""
        return f"{self.name}_by_{self.split}"


COUNTERS = (
    Counter("prepares", "anon_vma prepared for a VMA on its first anonymous fault"),
    Counter("lazy_prepares", "VMAs marked lazy instead of being given an anon_vma (patched kernels)"),
    Counter("anon_vma_allocs", "anon_vma objects allocated"),
    Counter("anon_vma_frees", "anon_vma objects freed"),
    Counter("chain_allocs", "anon_vma_chain objects allocated"),
    Counter("chain_frees", "anon_vma_chain objects freed"),
    Counter("forks", "processes created by fork, vfork or clone; threads are not counted"),
    Counter("fork_chains", "anon_vma_chain objects cloned from the parent's VMAs by those forks"),
    Counter("promotions", "lazy VMAs made regular", "reason", REASONS),
    Counter("promotions_failed", "lazy VMAs that could not be made regular"),
    Counter("rmap_walks", "reverse-map walks of anonymous folios", "walker", WALKERS),
    Counter("rmap_walk_vmas", "VMAs visited by those walks", "walker", WALKERS),
    Counter("lock_waits", "waits for the lock of a root anon_vma", "path", LOCK_PATHS),
    Counter("lock_write_waits", "those of lock_waits that were for writing"),
    Counter("lock_waited_ns", "nanoseconds that those waits took"),
    Counter("copying_forks", "those of forks that copied an address space"),
    Counter("fork_vmas", "VMAs that those forks copied"),
    Counter("fork_threads", "threads of the processes that forked so, at each such fork"),
    Counter("forks_again", "those of copying_forks by a process that was itself forked and has not called exec since"),
    Counter("ends", "processes that have ended, of those that began after the probes were attached"),
    Counter("ends_forked", "those of ends that had forked and copied their address space"),
    Counter("clones", "copies of a VMA's chains that were begun (anon_vma_clone)", "cause", CLONE_CAUSES),
    Counter("fork_anon_vmas", "anon_vma objects made for the children's VMAs by those forks"),
    Counter("fork_anon_unused", "those of fork_anon_vmas that were freed at once: the VMA took one that was there"),
    Counter("cow_copies", "anonymous pages that a fork has shared, copied by a write", "page", COW_PAGES),
    Counter("first_faults", "first writes to anonymous VMAs that had no anon_vma yet (do_anonymous_page)"),
    Counter("first_fault_retries", "tries of such faults that were given up because mmap_lock was taken"),
    Counter("first_fault_retried_ns", "time from giving up to the next try"),
    Counter("violations", "invariants of anonymous reverse mapping seen broken", "invariant", INVARIANTS),
)
COUNTER_NAMES = tuple(counter.name for counter in COUNTERS)


@dataclass(frozen=True)
class Histogram:
    """A distribution; ``unit`` is "seconds" or "vmas". ``split`` as in Counter."""

    name: str
    unit: str
    help: str
    split: str = ""
    values: tuple[str, ...] = ()

    def series(self) -> tuple[str, ...]:
        """Names in Sample.histograms: ``rmap_walk_seconds{unmap}`` if divided."""
        if not self.split:
            return (self.name,)
        return tuple(f"{self.name}{{{value}}}" for value in self.values)


HISTOGRAMS = (
    Histogram("prepare_seconds", "seconds", "time in __anon_vma_prepare"),
    Histogram("fork_seconds", "seconds", "time in anon_vma_fork summed over one fork"),
    Histogram(
        "fork_duration_seconds",
        "seconds",
        "time of one fork that copies an address space, from the allocation of its mm",
    ),
    Histogram("fork_page_table_seconds", "seconds", "time in copy_page_range summed over one fork"),
    Histogram("cow_seconds", "seconds", "time in do_wp_page of a write that copied such a page", "page", COW_PAGES),
    Histogram("first_fault_seconds", "seconds", "time of one such fault in do_anonymous_page, from its first try on"),
    Histogram("promotion_seconds", "seconds", "time to make one lazy VMA regular"),
    Histogram("rmap_walk_seconds", "seconds", "time of one reverse-map walk", "walker", WALKERS),
    Histogram("lock_wait_seconds", "seconds", "time of one wait for the lock of a root anon_vma", "path", LOCK_PATHS),
    Histogram(
        "lock_hold_seconds",
        "seconds",
        "time that the lock of a root anon_vma was held, at most: in the function that takes it, but for waits",
        "path",
        HOLD_PATHS,
    ),
    Histogram("rmap_walk_vmas", "vmas", "VMAs visited by one reverse-map walk", "walker", WALKERS),
)
# A fixed bucket layout: bucket i counts values <= 2**i (nanoseconds or VMAs), the last bucket the rest.
HISTOGRAM_BUCKETS = 40


@dataclass(frozen=True)
class VmaState:
    """The state of a VMA for anonymous reverse mapping. ``help`` uses the plural."""

    name: str
    help: str


# The BPF programs number the states in this order; recordings and sockets hold their names.
VMA_STATES = (
    VmaState("plain", "VMAs without anonymous pages yet: no anon_vma"),
    VmaState("lazy", "VMAs that are lazy now"),
    VmaState("private", "regular VMAs whose anon_vma serves no other VMA: they would stay lazy"),
    VmaState("shared", "regular VMAs whose anon_vma is shared, by fork or with a neighbour"),
)
VMA_STATE_NAMES = tuple(state.name for state in VMA_STATES)

# Per process, from the census. (name, help). Every state except plain, which is vmas - vmas_anon.
CENSUS_COLUMNS = (
    ("vmas", "VMAs of the process"),
    ("vmas_anon", "VMAs with an anon_vma, or lazy"),
    *((f"vmas_{state.name}", state.help) for state in VMA_STATES[1:]),
    ("saved_bytes", "anon_vma and chain memory that laziness saves now"),
    ("savable_bytes", "anon_vma and chain memory that laziness would save (docs/savings.md)"),
    ("chains_held", "anon_vma_chain objects of its VMAs: each is of one VMA"),
    (
        "anon_vmas_held",
        "anon_vma objects of its VMAs; one that several VMAs share counts once, for the VMA that begins lowest in it",
    ),
    ("savable_low_bytes", "lower bound of savable_bytes: whatever may have ended a VMA's laziness has"),
    ("savable_high_bytes", "upper bound of savable_bytes: only what is known to have ended a VMA's laziness has"),
    (
        "vmas_copied",
        "VMAs with anonymous pages that forks have copied from its address space, since it began or called exec",
    ),
)
CENSUS_NAMES = tuple(name for name, _ in CENSUS_COLUMNS)

# Per process, of the columns of the census that tell who a leak is: what has come since the first sample.
GROWING = ("chains_held", "anon_vmas_held")
GROWTH_COLUMNS = tuple(
    pair
    for name in GROWING
    for pair in (
        (f"{name}_growth", f"{name} more than in the first sample; of a process that began later, all of it"),
        (f"{name}_per_minute", f"{name}_growth for each minute since the first sample"),
    )
)
GROWTH_NAMES = tuple(name for name, _ in GROWTH_COLUMNS)


def vmas_by_state(census: Mapping[str, int | None]) -> dict[str, int | None]:
    """{state: VMAs} from the columns of a census; None where not known."""
    vmas, anon = census.get("vmas"), census.get("vmas_anon")
    found = {state.name: census.get(f"vmas_{state.name}") for state in VMA_STATES}
    return found | {"plain": None if vmas is None or anon is None else vmas - anon}


HEALTH_COLUMNS = (
    ("ring_lost", "events the ring buffer had no room for"),
    ("map_full", "insertions refused because a BPF map was full"),
    ("process_map_entries", "processes in the BPF map that counts per process"),
    ("process_map_capacity", "processes that map has room for"),
    ("recursion_misses", "program runs the kernel skipped: the program was already running, or no kretprobe was free"),
    ("probes_missing", "required probe points that are not attached"),
    ("bpf_runs", "runs of the BPF programs (kernel.bpf_stats_enabled)"),
    (
        "bpf_seconds",
        "CPU time spent in the BPF programs (kernel.bpf_stats_enabled; with --budget an estimate from windows)",
    ),
    ("self_cpu_seconds", "CPU time this process used"),
    ("self_rss_bytes", "resident memory of this process"),
    (
        "locks_unplaced",
        "contended locks that look like that of a root anon_vma, on a path that is not known: not counted",
    ),
    ("ledger_residual", "change of live anon_vma objects in slabinfo minus (allocs - frees)"),
    (
        "own_cpu_share",
        "share of the machine's CPU time since the previous sample that this process and its loader took",
    ),
    (
        "bpf_share",
        "share of the machine's CPU time that the programs on tracepoints and functions take (with --budget in short windows, else kernel.bpf_stats_enabled)",
    ),
    ("loader_cpu_seconds", "CPU time that loading the probes took, and with --budget the loader since"),
    ("loader_rss_bytes", "resident memory of the loader, which stays with --budget"),
    ("map_bytes", "kernel memory of the BPF maps when they were made"),
    ("budget_share", "share of the machine's CPU time that lazyobs is to keep within (--budget)"),
    (
        "floor_share",
        "share that empty programs on the same tracepoints would take, where the cost is over the budget with everything shed",
    ),
    ("events_shed", "1 while the budget sheds the stream of events, else 0"),
    ("points_shed", "probe points that the budget sheds"),
    ("census_every", "samples to a census: more than 1 where the budget sheds the others"),
    ("shed_seconds", "time for which the budget shed probe points: the counters that they feed lack it"),
)
HEALTH_NAMES = tuple(name for name, _ in HEALTH_COLUMNS)


@dataclass
class Kernel:
    """The kernel a sample came from. ``lazy_enabled``: whether VMAs become lazy now; None where
    none ever does, or where it cannot be read."""

    release: str
    profile: str
    lazy_enabled: bool | None


def points_by_tier(tiers: Mapping[str, str | None], without: str = "none") -> dict[str, list[str]]:
    """{tier: its probe points}, in the order of the points; ``without`` is the key of those that are not attached."""
    found: dict[str, list[str]] = {}
    for point, tier in tiers.items():
        found.setdefault(tier or without, []).append(point)
    return found


@dataclass
class Slab:
    """One slab cache. ``merged_with`` names the caches that share its row: counts are then of all.

    ``objects_active`` counts free objects on per-CPU slabs and in sheaves, too: ``objects_free_at_most`` of them.
    """

    cache: str
    objects_active: int | None
    objects: int | None
    object_bytes: int | None
    merged_with: list[str] = field(default_factory=list)
    objects_free_at_most: int | None = None


@dataclass
class Process:
    """One process; identity is (pid, start_time). ``counts`` holds COUNTER_NAMES, ``census`` CENSUS_NAMES."""

    pid: int
    start_time: float  # unix seconds
    user: str
    comm: str
    cgroup: str | None
    census: dict[str, int | None]
    counts: dict[str, int | None]
    rates: dict[str, float | None] = field(default_factory=dict)
    ppid: int | None = None  # the parent's process id; 0 where there is none
    args: str | None = None  # the command line, as the process shows it; None where it was not asked for or has none
    growth: dict[str, float | None] = field(default_factory=dict)  # GROWTH_NAMES, filled in by sources/growth.py

    def get(self, column: str) -> Any:
        """Value of any column by its name in the JSON form."""
        if column in ("pid", "start_time", "user", "comm", "cgroup", "ppid", "args"):
            return getattr(self, column)
        if column in self.census:
            return self.census[column]
        if column in self.counts:
            return self.counts[column]
        if column.endswith("_rate"):
            return self.rates.get(column[: -len("_rate")])
        if column in GROWTH_NAMES:
            return self.growth.get(column)
        raise KeyError(column)

    def as_json(self) -> dict[str, Any]:
        return {name: self.get(name) for name in PROCESS_COLUMNS}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Process:
        """The inverse of as_json; a column that the row lacks is None. KeyError without an identity."""
        return cls(
            row["pid"],
            row["start_time"],
            row["user"],
            row["comm"],
            row["cgroup"],
            census={name: row.get(name) for name in CENSUS_NAMES},
            counts={name: row.get(name) for name in COUNTER_NAMES},
            rates={name: row.get(name + "_rate") for name in COUNTER_NAMES},
            ppid=row.get("ppid"),
            args=row.get("args"),
            growth={name: row[name] for name in GROWTH_NAMES if row.get(name) is not None},
        )


PROCESS_COLUMNS = (
    "pid",
    "start_time",
    "user",
    "comm",
    "cgroup",
    "ppid",
    *CENSUS_NAMES,
    *tuple(key for name in COUNTER_NAMES for key in (name, name + "_rate")),
    "args",
    *GROWTH_NAMES,
)


# (name, help) of a slow fork: the slowest that a CPU finished in one of the last parts of 4.3 s.
FORK_COLUMNS = (
    ("time", "when it ended, unix seconds"),
    ("pid", "process that forked"),
    ("start_time", "of that process, unix seconds"),
    ("comm", "name of that process"),
    ("child", "process id of the child"),
    ("seconds", "from the allocation of the child's mm to its first chance to run"),
    ("anon_seconds", "of that time in anon_vma_fork"),
    ("lock_seconds", "of that time waiting for locks of root anon_vmas"),
    ("lock_waits", "these waits"),
    ("vmas", "VMAs copied"),
    ("chains", "anon_vma_chain objects cloned from the parent's VMAs"),
    ("threads", "threads of the process that forked"),
    ("page_table_seconds", "of that time in copy_page_range"),
    (
        "rest_seconds",
        "what is left of that time without anon_vma_fork and copy_page_range: VMAs copied, the task itself",
    ),
)
MOST_FORKS = 16  # in a sample


@dataclass
class Fork:
    """A slow fork that copied an address space: FORK_COLUMNS. None: the attached probes cannot know it."""

    time: float
    pid: int
    start_time: float
    comm: str
    child: int
    seconds: float
    anon_seconds: float | None
    lock_seconds: float | None
    lock_waits: int | None
    vmas: int
    chains: int | None
    threads: int
    page_table_seconds: float | None = None
    rest_seconds: float | None = None


# (name, help) of the ended processes of one name, of those that began after the probes were attached.
PROGRAM_COLUMNS = (
    ("comm", "name of the process when it ended"),
    ("ends", "processes"),
    ("ends_forked", "those that had forked and copied their address space"),
    ("copying_forks", "such forks"),
    ("fork_vmas", "VMAs that these forks copied"),
    ("fork_threads", "threads of the process at each of these forks"),
    ("forks_again", "those of the forks by a process that was itself forked and had not called exec"),
    ("prepares", "VMAs that got an anon_vma by a fault"),
    ("exclusive", "those of them that no fork ever shared, at least"),
)
MOST_PROGRAMS = 32  # in a sample: those with the most ends


@dataclass
class Program:
    """The ended processes of one name: PROGRAM_COLUMNS."""

    comm: str
    ends: int
    ends_forked: int
    copying_forks: int
    fork_vmas: int
    fork_threads: int
    forks_again: int
    prepares: int
    exclusive: int


# (name, help) of a family: the processes that share a root anon_vma, one of which has waited for its lock.
FAMILY_COLUMNS = (
    ("number", "of the families since attach, from 1 on"),
    ("first_wait", "when a task waited for its lock for the first time since attach, unix seconds"),
    ("pid", "process whose own anon_vma the root is, or where that has ended, one that shares it"),
    ("start_time", "of that process, unix seconds"),
    ("comm", "name of that process"),
    ("cgroup", "of that process"),
    ("processes", "processes that share the root"),
    ("vmas", "VMAs of them that share it"),
    ("chains", "anon_vma_chain objects of those VMAs"),
    ("waits", "waits for its lock"),
    ("write_waits", "those that were for writing"),
    ("waited_ns", "nanoseconds that those waits took"),
    ("longest_ns", "the longest of them"),
    ("waits_by_path", "by what the waiting task was about"),
)
MOST_FAMILIES = 128  # in a sample: those that waited longest


@dataclass
class Family:
    """Waits for the lock of one root anon_vma, and who shares it: FAMILY_COLUMNS. Counts are since attach; what the
    census says is None where there is none, or no member is left."""

    number: int
    first_wait: float
    pid: int | None
    start_time: float | None
    comm: str | None
    cgroup: str | None
    processes: int | None
    vmas: int | None
    chains: int | None
    waits: int
    write_waits: int
    waited_ns: int
    longest_ns: int
    waits_by_path: dict[str, int]


@dataclass
class Sample:
    """One reading. Counters are cumulative since attach."""

    time: float  # unix seconds
    elapsed: float  # seconds since the previous sample, or since attach
    kernel: Kernel
    tiers: dict[str, str | None]
    totals: dict[str, Any]  # COUNTER_NAMES -> count; Counter.split_key -> {value: count}
    rates: dict[str, Any]  # the same keys, per second
    exited: dict[str, int | None]  # the part of totals that belongs to ended processes
    census: dict[str, int | None]  # CENSUS_NAMES over address spaces, each counted once
    slabs: list[Slab]
    processes: list[Process]
    histograms: dict[str, dict[str, Any] | None]
    health: dict[str, float | None]
    null_reasons: dict[str, str]  # dotted name -> why it is null
    failed: dict[str, str] = field(default_factory=dict)  # part that could not be read this time -> why
    families: list[Family] = field(default_factory=list)  # MOST_FAMILIES at most, the one that waited longest first
    slow_forks: list[Fork] = field(default_factory=list)  # of the last minute, MOST_FORKS at most, the slowest first
    programs: list[Program] = field(default_factory=list)  # MOST_PROGRAMS at most, the one with the most ends first
    # {cgroup: {column of GROWING: what its processes held that have ended since the first sample, negative}}
    ended_growth: dict[str, dict[str, int]] = field(default_factory=dict)
    # The part of totals that a command (record -- COMMAND) and all that it started have caused; None without one.
    command: dict[str, Any] | None = None

    @property
    def ledger_error(self) -> int | None:
        """How far health.ledger_residual can be from what is lost: free anon_vmas among those slabinfo calls active."""
        return next((slab.objects_free_at_most for slab in self.slabs if slab.cache == "anon_vma"), None)

    def as_json(self) -> dict[str, Any]:
        """The common form of JSON output, recordings and replay."""
        document = self.as_json_but_processes()
        document["processes"] = [process.as_json() for process in self.processes]
        return document

    def as_json_but_processes(self) -> dict[str, Any]:
        """The same with ``processes`` empty: they are most of the data, and recordings keep them as columns."""
        totals: dict[str, Any] = {}
        for key, value in self.totals.items():
            totals[key] = value
            totals[key + "_rate"] = self.rates.get(key)
        return {
            "time": self.time,
            "elapsed": self.elapsed,
            "kernel": vars(self.kernel),
            "tiers": self.tiers,
            "totals": totals,
            "exited": self.exited,
            "command": self.command,
            "census": self.census,
            "slabs": [vars(slab) for slab in self.slabs],
            "processes": [],
            "families": [vars(family) for family in self.families],
            "slow_forks": [vars(fork) for fork in self.slow_forks],
            "programs": [vars(program) for program in self.programs],
            "histograms": self.histograms,
            "health": self.health,
            "null_reasons": self.null_reasons,
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Sample:
        """The inverse of as_json: the result gives the same JSON. Counters and columns that are missing,
        because an earlier lazyobs did not have them, are None.

        ValueError for anything that as_json cannot have written.
        """
        _check(document)
        try:
            return cls._from_json(document)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a sample: {type(error).__name__} {error}") from None

    @classmethod
    def _from_json(cls, document: dict[str, Any]) -> Sample:
        totals = {key: value for key, value in document["totals"].items() if not key.endswith("_rate")}
        if totals:  # empty where they could not be read
            totals.update(_missing(_TOTALS, totals))
        kernel = document["kernel"]
        return cls(
            time=document["time"],
            elapsed=document["elapsed"],
            kernel=Kernel(kernel["release"], kernel["profile"], kernel["lazy_enabled"]),
            tiers=dict(document["tiers"]),
            totals=totals,
            rates={key: document["totals"].get(key + "_rate") for key in totals},
            exited={
                **document["exited"],
                **(_missing(COUNTER_NAMES, document["exited"]) if document["exited"] else {}),
            },
            census={**document["census"], **_missing(CENSUS_NAMES, document["census"])},
            slabs=[Slab(**slab) for slab in document["slabs"]],
            processes=[Process.from_json(row) for row in document["processes"]],
            histograms=dict(document["histograms"]),
            health={**document["health"], **_missing(HEALTH_NAMES, document["health"])},
            null_reasons=dict(document["null_reasons"]),
            families=[Family(**family) for family in document.get("families", ())],
            slow_forks=[Fork(**fork) for fork in document.get("slow_forks", ())],
            programs=[Program(**program) for program in document.get("programs", ())],
            command=_with_all_counters(document.get("command")),
        )


_TOTALS = (*COUNTER_NAMES, *(counter.split_key for counter in COUNTERS if counter.split))


def _with_all_counters(counts: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if counts is None else {**counts, **_missing(_TOTALS, counts)}


def _missing(names: tuple[str, ...], there: dict[str, Any]) -> dict[str, None]:
    return {name: None for name in names if name not in there}


# What the JSON of a sample may hold, part by part: a type, a tuple of types, [of items] or {of values}.
_NUMBER = (int, float)
_NAME = "name"  # text that is displayed unchanged: without control characters
_SHAPE: dict[str, Any] = {
    "time": _NUMBER,
    "elapsed": _NUMBER,
    "kernel": {"release": _NAME, "profile": _NAME, "lazy_enabled": (bool, None)},
    "tiers": {None: (_NAME, None)},
    "totals": {None: (int, float, None, {None: (int, float, None)})},
    "exited": {None: (int, None)},
    "command": (None, {None: (int, None, {None: (int, None)})}),
    "census": {None: (int, None)},
    "slabs": [{"cache": _NAME, "merged_with": [_NAME], None: (int, None)}],
    "processes": [{"pid": int, "start_time": _NUMBER, "user": str, "comm": str, "cgroup": (str, None), "args": (str, None), None: (int, float, None)}],
    "programs": [{"comm": str, None: int}],
    "slow_forks": [
        {
            "comm": str, **dict.fromkeys(("pid", "child", "vmas", "threads"), int),
            **dict.fromkeys(("time", "start_time", "seconds"), _NUMBER), None: (int, float, None),
        }
    ],
    "families": [
        {
            "first_wait": _NUMBER, "start_time": (int, float, None), "comm": (str, None), "cgroup": (str, None),
            "waits_by_path": {None: int}, **dict.fromkeys(("number", "waits", "write_waits", "waited_ns", "longest_ns"), int),
            None: (int, None),
        }
    ],
    "histograms": {None: (None, {"buckets": [[(int, float, None)]], "sum": _NUMBER, "count": int})},
    "health": {None: (int, float, None)},
    "null_reasons": {None: str},
}  # fmt: skip


def _check(value: Any, shape: Any = _SHAPE, name: str = "sample") -> None:
    """ValueError if ``value`` is not of that shape; numbers must be finite, names must have no control characters."""
    if isinstance(shape, tuple):
        containers = [one for one in shape if isinstance(one, dict)]
        if isinstance(value, dict) and containers:
            _check(value, containers[0], name)
        elif not any(_is(value, one) for one in shape):
            raise ValueError(f"{name} is a {type(value).__name__}")
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise ValueError(f"{name} is a {type(value).__name__}, not a list")
        for item in value:
            _check(item, shape[0], name)
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            raise ValueError(f"{name} is a {type(value).__name__}, not an object")
        for key, item in value.items():
            if not key.isprintable():
                raise ValueError(f"{name} has a key with control characters")
            if key in shape or None in shape:  # ignore a part that only a later lazyobs knows
                _check(item, shape.get(key, shape.get(None)), f"{name}.{key}")
    elif not _is(value, shape):
        raise ValueError(f"{name} is a {type(value).__name__}")


def _is(value: Any, kind: Any) -> bool:
    if kind is None:
        return value is None
    if kind == _NAME:
        return isinstance(value, str) and value.isprintable()
    if isinstance(kind, dict) or not isinstance(value, kind):
        return False
    return kind is bool or not (isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)))


def rate(now: float | None, before: float | None, elapsed: float) -> float | None:
    """Change per second, or None if either reading is unknown or no time has passed."""
    if now is None or before is None or elapsed <= 0:
        return None
    return round((now - before) / elapsed, 3)


def total_rates(now: dict[str, Any], before: dict[str, Any], elapsed: float) -> dict[str, Any]:
    """Rates of a totals table, divided counters included."""
    rates: dict[str, Any] = {}
    for key, value in now.items():
        old = before.get(key)
        if isinstance(value, dict):
            old = old or {}
            rates[key] = {part: rate(count, old.get(part), elapsed) for part, count in value.items()}
        else:
            rates[key] = rate(value, old, elapsed)
    return rates
