# SPDX-License-Identifier: MIT
"""The invariants that lazyobs watches: one row each. docs/invariants.md is generated from the rows.

``python -m lazyobs.invariants > docs/invariants.md``. The checks are in probes/invariants.h, and for the ledger in
sources/ledger.py.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Invariant:
    """``doubt``: the doubt of the patch's reviewers that it answers; ``points``: probe points that must all be attached.

    ``lazy``: it concerns promotions, which only a kernel with lazy anon_vmas has.
    """

    name: str
    statement: str
    doubt: str
    how: str
    blind: str
    cost: str
    points: tuple[str, ...]
    lazy: bool = False


ROWS = (
    Invariant(
        "promotion_once",
        "a lazy VMA is promoted at most once in its lazy life",
        "the lifetime of a VMA's rmap state across fork, split, merge and remap",
        "A promotion allocated a chain and kept it, but its VMA was not lazy when the promotion began, or was lazy and "
        "already had a chain. The state is in the VMA itself: a new VMA, at whatever address, begins without mark and "
        "chain. A promotion that finds that another thread was first frees its chain, and is not counted.",
        "A VMA that becomes lazy again without cause and has lost its chain: it looks like a new one (the ledger sees the "
        "lost chain where chains have a cache of their own). Chains that a design allocates outside its promotion "
        "function.",
        "two reads per promotion",
        ("slab", "promotion"),
        lazy=True,
    ),
    Invariant(
        "promotion_cause",
        "a promotion has the cause that it declares",
        "promotions of VMAs that nothing begins to share: sharing that is missed elsewhere, or laziness lost",
        "The task's kernel stack was read to its end and has none of the functions that promote for this reason (the "
        "table CAUSES in lazyobs/bpf/causes.py). A fork whose anon_vma_fork() the probes saw begin needs no stack.",
        "The reasons thp, migration and other, which no known design gives; a wrong reason whose function is on the stack "
        "for another purpose; a stack of more than 64 frames.",
        "a map lookup for the promotion of a fork; a stack (2 us) for any other, once in a VMA's life",
        ("promotion",),
        lazy=True,
    ),
    Invariant(
        "walk_complete",
        "a migration's walk in which no callback refused leaves the folio unmapped",
        "migration that races with unmapping: VMAs that the reverse map no longer reaches, or not yet",
        "try_to_migrate()'s walk ended, no callback refused, and the locked folio is still mapped; and either the walk "
        "takes the page-table locks (TTU_SYNC: a split of a huge page), or the folio is small and had more mappings, when "
        "the walk reached its first VMA, than VMAs were reached. The second condition is needed: without TTU_SYNC a walk "
        "may skip an entry that mprotect, NUMA hinting, mremap, a copy on write or munmap has cleared for a moment, and "
        "the migration is tried again. The VMAs cannot change meanwhile: the walk holds the anon_vma's lock, and a VMA "
        "maps a small folio at most once.",
        "A missed VMA of a folio that others map, if the VMA of an exited process, still in the tree, makes up the "
        "number; large folios that are not being split; KSM pages, whose walks are incomplete by design (an exited "
        "process takes its part of the map along); the temporary stack of an exec, which migration skips.",
        "one counter per VMA that a migration's walk reaches, and one read at the first; three reads at its end",
        ("walk_callbacks", "rmap_one", "rmap_walk"),
    ),
    Invariant(
        "walk_visits",
        "a walk from a mapped folio reaches a VMA",
        "folios whose mapping leads nowhere: pages that can be neither migrated nor reclaimed",
        "The walk of try_to_migrate() or try_to_unmap() of a locked anonymous folio reached no VMA, by the count of every "
        "probe on its way, and the folio is mapped. A walk that did not get the lock, or whose folio was unmapped "
        "meanwhile, does not qualify: a folio that is mapped and locked stays mapped unless a VMA is unmapped, and that "
        "VMA could have been visited.",
        "Walks of referenced, idle and damon: before 7.0 they do without the folio's lock, and everywhere one probe alone "
        "counts the VMAs that they reach, of which the kernel may skip a run; one of referenced may also pass VMAs over, or "
        "not wait for the lock. KSM pages.",
        "one counter per VMA that an unmapping or migrating walk reaches; two reads if it reached none",
        ("walk_callbacks", "rmap_one", "rmap_walk"),
    ),
    Invariant(
        "ledger",
        "live anon_vmas that no VMA holds do not grow",
        "anon_vmas that error paths lose, or whose last reference is never dropped",
        "Judged at barrier readings (`lazyobs record`: RCU grace period, shrink, grace period; then five times a shrink, "
        "slabinfo, a pass of the iterator over the chains of every VMA, slabinfo). Live objects less held ones are the "
        "orphans. A barrier is calm if nothing on the machine was allocated or freed during its readings and all agree. "
        "Broken when three calm barriers, over 20 s or more and with none between them that says otherwise, have more "
        "orphans than the fewest ever seen, by more than KSM's pages can refer to: the least rise is the loss, and the "
        "account starts anew from there. Where the iterator does not visit process 1, the kernel hides tasks from BPF: "
        "then allocations less frees must have risen over the held ones as well.",
        "A machine that is never calm at a barrier (`lazyobs report` judges the floor of a storm, too); objects freed "
        "twice; chains, which `report` judges; a loss that KSM could explain; where tasks are hidden, an object whose "
        "allocation no probe counted. It does not claim that allocations less frees are the change of live objects: on "
        "a stock kernel whose process 1 is hidden from BPF each fork of that process took 12 to 37 anon_vmas and twice "
        "as many chains from that balance, because its children, which are not hidden, free what it allocated.",
        "at every barrier (60 s): a shrink of the caches, five passes of the census",
        ("slab", "census"),
    ),
)  # fmt: skip
BY_NAME = {row.name: row for row in ROWS}

IN_KERNEL = tuple(name for name in BY_NAME if name != "ledger")

_HEAD = """\
# Invariants

Written by `python -m lazyobs.invariants` from the table in `lazyobs/invariants.py`. A test
compares.

These statements must hold on any kernel, lazy or not. The probes check them where a walk or a
promotion ends and count violations: `totals.violations` and `totals.violations_by_invariant` of a
sample, `lazyobs_violations_total{invariant}`, the line *health* of `lazyobs top`, events of the
kind `violation` (`lazyobs trace -e violation`), the trigger `lazyobs record --keep-on violation`,
the alert LazyobsInvariantViolated. `lazyobs doctor` says which can be watched on a kernel, and why
others cannot: those are null and make no series.

**A false alarm is worse than a miss.** A case that was seen only in part, or that is ambiguous, is
not judged. The sections below say what that leaves unseen.

`lab/run --kernel lab-faulty` boots a kernel that breaks each of them once on request
(`vm.anon_vma_lazy_fault`). Each violation is then counted once, and no other
(`tests/lab/test_invariants.py`). Without a fault none was broken in 60 s of the lab's stress
program under `lazyobs record` (2 emulated CPUs): 12,639 migrating walks, 760 unmapping ones,
799 promotions, a barrier every 5 s. On a loaded stock 6.18 with 2 CPUs the ledger held through
ten minutes of forks that exit and that are killed: 209,158 forks, 59 barriers, up to 4,044 orphans
at a barrier, and the 28 of a quiet machine between the storms. Runs of hours have not been made.
"""


def states(unwatched: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each invariant and whether it is watched, as doctor prints it. ``unwatched``: {invariant: why not}."""
    return [
        {
            "invariant": row.name,
            "statement": row.statement,
            "watched": row.name not in unwatched,
            "why_not": unwatched.get(row.name),
        }
        for row in ROWS
    ]


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def reference() -> str:
    """The document."""
    parts = [
        _HEAD,
        "\n| invariant | what must hold | the doubt it answers | probe points | tiers | cost |\n|---|---|---|---|---|---|\n",
    ]
    parts += [_line(row) for row in ROWS]
    for row in ROWS:
        how, blind = _wrapped(f"*Broken when:* {row.how}"), _wrapped(f"*What it cannot see:* {row.blind}")
        parts.append(f"\n## {row.name}\n\n{how}\n\n{blind}\n")
    return "".join(parts)


def _line(row: Invariant) -> str:
    points = ", ".join(f"`{point}`" for point in row.points)
    tiers = "tracepoint and better, iter" if "census" in row.points else "fentry, kprobe"
    tiers += "; lazy kernels" if row.lazy else ""
    return f"| `{row.name}` | {row.statement} | {row.doubt} | {points} | {tiers} | {row.cost} |\n"


if __name__ == "__main__":
    print(reference(), end="")
