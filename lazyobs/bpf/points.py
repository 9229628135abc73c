# SPDX-License-Identifier: MIT
"""The probe points: one row each.

A point is either a fixed set of programs on tracepoints or an iterator, or a list of kernel functions,
which fentry or kprobe programs can enter; then the best tier at which all of them attach is taken.
plan.py decides from what the kernel has which tiers are tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from lazyobs.bpf import clone_causes
from lazyobs.kernel.profile import LAZY_PREPARE, PROMOTION
from lazyobs.model import CENSUS_NAMES

RAW_TRACEPOINT, ITERATOR = "raw_tracepoint", "iterator"
FENTRY, FEXIT, KPROBE, KRETPROBE = "fentry", "fexit", "kprobe", "kretprobe"
# tier: (kind of the program at entry, at exit)
FUNCTION_TIERS = {"fentry": (FENTRY, FEXIT), "kprobe": (KPROBE, KRETPROBE)}


class Fixed(NamedTuple):
    """``program`` (a C function in probes/) on a tracepoint or iterator; ``kind`` says which."""

    program: str
    kind: str
    target: str


class Call(NamedTuple):
    """Bodies ``<body>_enter`` and, with ``exits``, ``<body>_exit`` around the first of ``functions`` there is, by any
    name that the profile gives it (kernel/functions.py).

    ``arguments`` names what the entry body takes, each by the parameter names or type names it can have;
    with ``context`` it takes the program's context before them, and with ``context_at_exit`` the exit body before the
    result; without ``enters`` there is only the exit body.
    ``optional`` calls are left out where the kernel lacks the function. With ``whole`` the function has to have all of
    the arguments.
    """

    body: str
    functions: tuple[str, ...]
    arguments: tuple[tuple[str, ...], ...] = ()
    enters: bool = True
    exits: bool = True
    context: bool = False
    context_at_exit: bool = False
    optional: bool = False
    whole: bool = False


class Point(NamedTuple):
    """``sources``: its files in probes/. ``asks_lazy``: its programs have to tell a lazy VMA. ``has_more``: they also
    give numbers for which a lazy VMA need not be told. ``lazy_only``: its functions are those of a lazy design.
    ``some_kernels``: what it needs came with a kernel of these days, and older ones are supported without it.

    ``feeds``: the counters, histograms and census columns of the schema and the kinds of events ("event.fork") that
    its programs have a part in. A number is known where every point that feeds it is attached. ``stands_in``: the
    same numbers, seen less well, for where that is not so: {number: the count, or the event's name in a filter}.
    """

    name: str
    about: str
    sources: tuple[str, ...]
    feeds: tuple[str, ...]
    required: bool = False
    asks_lazy: bool = False
    has_more: bool = False
    lazy_only: bool = False
    some_kernels: bool = False
    stands_in: Mapping[str, str] = MappingProxyType({})
    fixed: tuple[Fixed, ...] = ()
    calls: tuple[Call, ...] = ()

    @property
    def fixed_tier(self) -> str:
        return "iter" if self.fixed and self.fixed[0].kind == ITERATOR else "tracepoint"


# walker: callbacks (rwc->rmap_one) that walk for it, by the names they have had.
WALKER_CALLBACKS: dict[str, tuple[str, ...]] = {
    # A poisoned hugetlb page has a callback of its own since 7.3.
    "unmap": ("try_to_unmap_one", "try_to_unmap_poisoned_hugetlb_one"),
    "migrate": ("try_to_migrate_one",),
    "referenced": ("folio_referenced_one", "page_referenced_one"),
    "remove_migration": ("remove_migration_pte",),
    "idle": ("page_idle_clear_pte_refs_one",),
    "damon": (
        "damon_folio_mkold_one",
        "damon_folio_young_one",
        "__damon_pa_mkold",
        "__damon_pa_young",
        "__damon_pa_check_access",
    ),
    "other": (
        "page_make_device_exclusive_one",
        "page_mlock_one",
        "folio_mkclean_one",
        "page_mkclean_one",
        "page_vma_mkclean_one",
    ),
}
CALLBACKS = tuple(name for names in WALKER_CALLBACKS.values() for name in names)

# What a process is in its life: a fork that copies is known by the allocation of the mm.
LIVES = ("copying_forks", "fork_vmas", "fork_threads", "forks_again", "ends", "ends_forked")
# What is summed up, or timed, until a fork ends.
WHOLE_FORKS = ("fork_duration_seconds", "fork_page_table_seconds")

_VMA, _FOLIO, _RWC, _FAULT = ("vm_area_struct",), ("folio", "page"), ("rmap_walk_control",), ("vm_fault",)

POINTS = (
    # Attached in this order. Deaths come before all that makes an entry for a process: one that ended in between would
    # keep it for ever.
    Point(
        "process",
        "processes: birth, new name, death",
        ("process.c",),
        ("forks", "fork_chains", "fork_seconds", *WHOLE_FORKS, "event.fork", *LIVES),
        required=True,
        fixed=(
            Fixed("process_exit", RAW_TRACEPOINT, "sched_process_exit"),
            Fixed("process_exec", RAW_TRACEPOINT, "sched_process_exec"),
            Fixed("process_fork", RAW_TRACEPOINT, "sched_process_fork"),
        ),
    ),
    Point(
        "slab",
        "anon_vma and chain objects by the call site of kmem_cache_alloc and kmem_cache_free",
        ("slab.c",),
        (
            "anon_vma_allocs",
            "anon_vma_frees",
            "chain_allocs",
            "chain_frees",
            "fork_chains",
            "fork_anon_vmas",
            "fork_anon_unused",
            "fork_seconds",
            *WHOLE_FORKS,
            *LIVES,
        ),
        required=True,
        stands_in={"prepares": "prepares_by_site", "event.prepare": "prepare_by_site"},
        fixed=(
            Fixed("slab_alloc", RAW_TRACEPOINT, "kmem_cache_alloc"),
            Fixed("slab_free", RAW_TRACEPOINT, "kmem_cache_free"),
        ),
    ),
    Point(
        "census",
        "every process's VMAs by state, and its cgroup",
        ("cgroups.c", "census.c"),
        CENSUS_NAMES,
        required=True,
        asks_lazy=True,
        has_more=True,
        fixed=(Fixed("census", ITERATOR, "task_vma"), Fixed("cgroup_paths", ITERATOR, "task")),
    ),
    Point(
        "census_vmas",
        "the VMAs of one process, one by one",
        ("cgroups.c", "census.c", "census_vmas.c"),
        (),
        asks_lazy=True,
        fixed=(Fixed("census_vmas", ITERATOR, "task_vma"),),
    ),
    Point(
        "lock",
        "waits for the lock of a root anon_vma, by the path that waited",
        ("lock.c",),
        (
            "lock_waits",
            "lock_write_waits",
            "lock_waited_ns",
            "lock_wait_seconds",
            "lock_hold_seconds",
            "event.lock_wait",
        ),
        # The end first: of a wait whose begin is seen the end is, too.
        fixed=(
            Fixed("lock_wait_ends", RAW_TRACEPOINT, "contention_end"),
            Fixed("lock_wait_begins", RAW_TRACEPOINT, "contention_begin"),
        ),
    ),
    Point(
        "prepare",
        "__anon_vma_prepare: count and latency",
        ("prepare.c",),
        ("prepares", "prepare_seconds", "event.prepare"),
        calls=(Call("prepare", ("__anon_vma_prepare",)),),
    ),
    Point(
        "anon_vma_fork",
        "anon_vma_fork: time of a fork spent on anon_vmas",
        ("anon_vma_fork.c",),
        ("fork_seconds",),
        calls=(Call("anon_vma_fork", ("anon_vma_fork",)),),
    ),
    Point(
        "page_tables",
        "copy_page_range: time of a fork spent on page tables",
        ("page_tables.c",),
        ("fork_page_table_seconds",),
        calls=(Call("page_tables", ("copy_page_range",)),),
    ),
    Point(
        "clone",
        "anon_vma_clone: what a VMA's chains are copied for, where the kernel says it (7.0)",
        ("clone.c",),
        ("clones",),
        some_kernels=True,
        calls=(Call("clone", ("anon_vma_clone",), (("src",), clone_causes.PARAMETER), exits=False, whole=True),),
    ),
    Point(
        "lazy_prepare",
        "VMAs made lazy on their first anonymous fault",
        ("promotion.c",),
        ("lazy_prepares",),
        asks_lazy=True,
        lazy_only=True,
        calls=(Call("lazy_prepare", (LAZY_PREPARE,), (_VMA,)),),
    ),
    Point(
        "promotion",
        "lazy VMAs made regular: reason, latency, failures",
        ("promotion.c",),
        ("promotions", "promotions_failed", "promotion_seconds", "event.promotion", "event.promotion_failed"),
        asks_lazy=True,
        lazy_only=True,
        calls=(Call("promotion", (PROMOTION,), (_VMA, ("reason",)), context=True),),
    ),
    # What a walk is judged by is attached before the walk itself: of one that is seen, everything is.
    Point(
        "walk_callbacks",
        "how the VMAs of an unmapping or migrating walk are dealt with: passed over, refused, done",
        ("rmap.c",),
        (),
        calls=(
            Call("vma_offered", ("invalid_migration_vma",), exits=False),
            Call("callback", ("try_to_migrate_one",), enters=False),
            Call("callback", ("try_to_unmap_one",), enters=False),
        ),
    ),
    Point(
        "rmap_one",
        "VMAs visited by those walks: runs of their callbacks",
        ("rmap.c",),
        ("rmap_walk_vmas",),
        calls=tuple(Call("rmap_one", (name,), exits=False, optional=True) for name in CALLBACKS),
    ),
    Point(
        "rmap_walk",
        "reverse-map walks of anonymous folios: walker and latency",
        ("rmap.c",),
        ("rmap_walks", "rmap_walk_seconds", "rmap_walk_vmas", "event.rmap_walk"),
        calls=(
            # Not rmap_walk() and rmap_walk_locked(): most of their callers, in the same file, have them inlined.
            Call("rmap_walk", ("rmap_walk_anon",), (_FOLIO, _RWC)),
            Call("rmap_walk", ("rmap_walk_ksm",), (_FOLIO, _RWC)),
        ),
    ),
    Point(
        "holds",
        "anon_vma_clone, unlink_anon_vmas: how long a root anon_vma's lock was held, at most",
        ("holds.c",),
        ("lock_hold_seconds",),
        calls=(
            Call("hold_clone", ("anon_vma_clone",), (("src",),), context_at_exit=True, whole=True),
            Call("hold_unlink", ("unlink_anon_vmas",), (_VMA,), context_at_exit=True, whole=True),
        ),
    ),
    Point(
        "cow",
        "do_wp_page: pages that a fork has shared, copied by a write",
        ("cow.c",),
        ("cow_copies", "cow_seconds"),
        # Not wp_page_copy(): most kernels have it inlined.
        calls=(Call("cow", ("do_wp_page",), (_FAULT,), whole=True),),
    ),
    Point(
        "first_fault",
        "do_anonymous_page: first faults of VMAs without an anon_vma, with waits for mmap_lock (6.4)",
        ("first_fault.c",),
        ("first_faults", "first_fault_retries", "first_fault_retried_ns", "first_fault_seconds"),
        some_kernels=True,
        calls=(Call("first_fault", ("do_anonymous_page",), (_FAULT,), whole=True),),
    ),
)

FUNCTIONS = tuple(name for point in POINTS for call in point.calls for name in call.functions)


def points_feeding(number: str) -> tuple[str, ...]:
    """Names of the points that must all be attached for that number to be known; () where none feeds it."""
    return tuple(point.name for point in POINTS if number in point.feeds)


def stand_in(number: str) -> tuple[str, str] | None:
    """(point, count or event name) of the point that gives the number where those that feed it are not attached."""
    return next(((point.name, point.stands_in[number]) for point in POINTS if number in point.stands_in), None)
