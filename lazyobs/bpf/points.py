# SPDX-License-Identifier: MIT
"""The probe points: one row each, with the ways to attach it, best first.

A candidate is a set of programs that must all attach; the first set that does gives the point its
tier. Which candidates are tried on a kernel is decided in plan.py from what the kernel has.
"""

from __future__ import annotations

from dataclasses import dataclass

RAW_TRACEPOINT, ITERATOR = "raw_tracepoint", "iterator"
FENTRY, FEXIT, KPROBE, KRETPROBE = "fentry", "fexit", "kprobe", "kretprobe"


@dataclass(frozen=True)
class Attach:
    """``program`` (a C function in probes/) on ``target`` (a tracepoint, iterator or kernel function)."""

    program: str
    kind: str
    target: str


@dataclass(frozen=True)
class Candidate:
    """One way to attach a point; ``tier`` is the label it gets."""

    tier: str
    attach: tuple[Attach, ...]


@dataclass(frozen=True)
class Point:
    """``feeds`` are the counters and columns that are null without the point."""

    name: str
    about: str
    feeds: tuple[str, ...]
    required: bool
    candidates: tuple[Candidate, ...]


def _tracepoint(*pairs: tuple[str, str]) -> Candidate:
    return Candidate("tracepoint", tuple(Attach(program, RAW_TRACEPOINT, name) for program, name in pairs))


POINTS = (
    Point(
        "slab",
        "anon_vma and chain objects by the call site of kmem_cache_alloc and kmem_cache_free",
        ("prepares", "anon_vma_allocs", "anon_vma_frees", "chain_allocs", "chain_frees", "fork_chains"),
        True,
        (_tracepoint(("slab_alloc", "kmem_cache_alloc"), ("slab_free", "kmem_cache_free")),),
    ),
    Point(
        "process",
        "processes: birth, new name, death",
        ("forks", "fork_chains"),
        True,
        (
            _tracepoint(
                ("process_fork", "sched_process_fork"),
                ("process_exec", "sched_process_exec"),
                ("process_exit", "sched_process_exit"),
            ),
        ),
    ),
    Point(
        "census",
        "every process's VMAs by state",
        ("vmas", "vmas_anon", "vmas_lazy", "vmas_private", "vmas_shared", "saved_bytes", "savable_bytes"),
        True,
        (Candidate("iter", (Attach("census", ITERATOR, "task_vma"),)),),
    ),
    Point(
        "census_vmas",
        "the VMAs of one process, one by one",
        (),
        False,
        (Candidate("iter", (Attach("census_vmas", ITERATOR, "task_vma"),)),),
    ),
)
