# SPDX-License-Identifier: MIT
"""The invariants that are watched: one row each, from which docs/invariants.md is written.

``python -m lazyobs.invariants > docs/invariants.md``. What a row says is done in probes/invariants.h, and
for the ledger in sources/ledger.py.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Invariant:
    """``doubt`` of the patch's reviewers that it answers; ``points``: probe points that must all be attached.

    ``lazy``: it is about promotions, which only a kernel with lazy anon_vmas has.
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
        "A promotion that made a chain and kept it began on a VMA that was not lazy, or that was lazy and had a chain. "
        "The VMA itself is the memory: a new one, at whatever address, begins without mark and chain. One that "
        "finds another thread was first gives its chain back, and is not counted.",
        "A VMA that is made lazy again without cause, its chain lost: it looks like a new one (the lost chain is the "
        "ledger's to see, where chains have a cache of their own). Chains that a design allocates outside of its "
        "promotion function.",
        "two reads a promotion",
        ("slab", "promotion"),
        lazy=True,
    ),
    Invariant(
        "promotion_cause",
        "a promotion has the cause that it declares",
        "promotions where nothing begins to share the VMA: sharing that is missed elsewhere, or laziness lost",
        "The task's kernel stack holds none of the functions that promote for this reason (the table CAUSES in "
        "lazyobs/bpf/causes.py), and was seen to its end. A fork whose anon_vma_fork() the probes are in needs no stack.",
        "The reasons thp, migration and other, which no known design gives; a wrong reason whose function happens to be "
        "on the stack as well; a stack of more than 64 frames.",
        "a map lookup a fork's promotion; a stack (2 us) any other, once in a VMA's life",
        ("promotion",),
        lazy=True,
    ),
    Invariant(
        "walk_complete",
        "a migration's walk in which no callback refused leaves the folio unmapped",
        "migration that races with unmapping: VMAs that the reverse map does not lead to any more, or not yet",
        "try_to_migrate()'s walk ended with the locked folio still mapped, every callback having said yes, and either "
        "the walk takes the page-table locks (TTU_SYNC: a split of a huge page), or it was a small folio with more "
        "mappings, when the first VMA was reached, than VMAs were reached. The second condition is needed: without "
        "TTU_SYNC a walk may pass over an entry that mprotect, NUMA hinting, mremap, a copy on write or munmap has "
        "emptied for a moment, and the migration is tried again. The VMAs cannot change meanwhile: the walk holds the "
        "anon_vma's lock, and a VMA maps a small folio once at most.",
        "A missed VMA of a folio that others map where an ended process's VMA, still in the tree, makes up the number; "
        "large folios that are not being split; KSM pages, whose walks are incomplete by design (an exited process "
        "takes its part of the map along); the temporary stack of an exec, which migration passes over.",
        "where a migration's walk comes to a VMA one counter, and one read at the first; three reads at its end",
        ("walk_callbacks", "rmap_one", "rmap_walk"),
    ),
    Invariant(
        "walk_visits",
        "a walk from a mapped folio comes to a VMA",
        "folios whose mapping leads nowhere: pages that can be neither migrated nor reclaimed",
        "The walk of try_to_migrate() or try_to_unmap() of a locked anonymous folio came to no VMA, by the count of "
        "every probe on its way, and the folio is mapped. A lock that is not taken, or a folio that is unmapped "
        "meanwhile, is no walk without VMAs: mapped and locked, a folio stays mapped unless a VMA is unmapped, which "
        "then was there to be visited.",
        "Walks that may do without the folio's lock (referenced, idle, damon); KSM pages.",
        "a counter for each VMA that an unmapping or migrating walk comes to; two reads where there was none",
        ("walk_callbacks", "rmap_one", "rmap_walk"),
    ),
    Invariant(
        "ledger",
        "anon_vmas allocated less freed is the change of those that live",
        "anon_vmas that are lost or freed twice on error paths, or made where nobody counts them",
        "At barrier readings (`lazyobs record`: RCU grace period, shrink, grace period), which alone make slabinfo mean "
        "what it says. The counts are read before and after: live objects minus (allocations - frees) is a constant "
        "between two bounds, which lie apart by what happened meanwhile, by the free objects that new per-CPU "
        "slabs may hold since the shrink (none where nothing was allocated), and by runs of the probes that the kernel "
        "skipped. All readings' bounds must have a number in common. One that has none is held against the next: only "
        "when that one agrees with it, and not with those before, is it a violation, and counting begins anew from there.",
        "Anything between barriers that evens out; on a machine that forks all the time, a loss smaller than the bounds "
        "are apart; chains, whose cache other objects share on most kernels. A fault shows at the second barrier after it.",
        "a shrink of the caches at every barrier (60 s)",
        ("slab",),
    ),
)  # fmt: skip
BY_NAME = {row.name: row for row in ROWS}

IN_KERNEL = tuple(name for name in BY_NAME if name != "ledger")

_HEAD = """\
# Invariants

Written by `python -m lazyobs.invariants` from the table in `lazyobs/invariants.py`. A test compares.

What must hold on any kernel, lazy or not, is looked at where a walk or a promotion ends, and counted where it does not:
`totals.violations` and `totals.violations_by_invariant` of a sample, `lazyobs_violations_total{invariant}`, the line
*health* of `lazyobs top`, events of the kind `violation` (`lazyobs trace -e violation`), the trigger
`lazyobs record --keep-on violation`, the alert LazyobsInvariantViolated. `lazyobs doctor` says which can be watched on a
kernel, and why others cannot: those are null and make no series.

**A false alarm is worse than none.** What was seen only in part, or can be told in two ways, is not judged. The columns
below say what that leaves unseen.

`lab/run --kernel lab-faulty` boots a kernel that breaks each of them once when told to (`vm.anon_vma_lazy_fault`). Each
is then counted once, and no other (`tests/lab/test_invariants.py`). Without a fault none was broken in 60 s of the lab's stress
program under `lazyobs record` (2 emulated CPUs): 12,596 migrating walks, 1,311 unmapping ones, 1,412 promotions, a barrier every
5 s. Runs of hours have not been made.
"""


def reference() -> str:
    """The document."""
    parts = [
        _HEAD,
        "\n| invariant | what must hold | the doubt it answers | probe points | tiers | cost |\n|---|---|---|---|---|---|\n",
    ]
    parts += [_line(row) for row in ROWS]
    for row in ROWS:
        parts.append(f"\n## {row.name}\n\n*Broken when:* {row.how}\n\n*What it cannot see:* {row.blind}\n")
    return "".join(parts)


def _line(row: Invariant) -> str:
    points = ", ".join(f"`{point}`" for point in row.points)
    tiers = "tracepoint and better" if row.points == ("slab",) else "fentry, kprobe"
    tiers += "; lazy kernels" if row.lazy else ""
    return f"| `{row.name}` | {row.statement} | {row.doubt} | {points} | {tiers} | {row.cost} |\n"


if __name__ == "__main__":
    print(reference(), end="")
