# SPDX-License-Identifier: MIT
"""What a step must cause, as data: exact event counts for lazy and for regular kernels.

Object counts follow from when the kernel allocates. Regular: the first anonymous fault of a VMA allocates
an anon_vma and a chain; fork clones every chain of the parent's VMA and allocates an anon_vma and a chain
for the child's; split and mremap clone the chains. Lazy: the first fault allocates nothing; a promotion
allocates one chain, after which the VMA is regular.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# An event that an expectation does not name must not happen.
EVENTS = (
    "first_faults",  # prepares + lazy_prepares
    "prepares",
    "lazy_prepares",
    "anon_vma_allocs",
    "anon_vma_frees",
    "chain_allocs",
    "chain_frees",
    "forks",
    "fork_chains",
    "promotions",
    "promotions_failed",
)
# Checked only where an expectation names them: other kernel work in the process's context may cause walks.
WALKS = ("rmap_walks", "rmap_walk_vmas")
# Changes in the VMA census of the scenario's first process.
CENSUS = ("vmas", "vmas_anon", "vmas_lazy", "vmas_private", "vmas_shared")
# Valid for every lazy design. Object counts assume a design in which lazy VMAs share one anon_vma per mm.
OF_EVERY_DESIGN = ("first_faults", "forks", "promotions", "promotions_failed")


@dataclass(frozen=True)
class Count:
    """``own`` events, plus ``inherited`` events for each of the interpreter's VMAs in a fork."""

    own: int
    inherited: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.own + other.own, self.inherited + other.inherited)

    def value(self, interpreter_vmas: int) -> int:
        return self.own + self.inherited * interpreter_vmas


Counts = Mapping[str, Count]


def _sum(one: Counts, other: Counts) -> Counts:
    return {name: one.get(name, Count(0)) + other.get(name, Count(0)) for name in {**one, **other}}


@dataclass(frozen=True)
class Expect:
    """Counts for kernels without lazy anon_vmas or with them off (``regular``), and with them on (``lazy``).

    ``facts`` are values that the scenario itself must report about its pages at the end of the step. ``ksm`` and
    ``no_ksm`` are added to ``lazy`` where a page that KSM merges promotes its VMA, and where it does not.
    """

    regular: Counts = field(default_factory=dict)
    lazy: Counts = field(default_factory=dict)
    facts: Mapping[str, int] = field(default_factory=dict)
    ksm: Counts = field(default_factory=dict)
    no_ksm: Counts = field(default_factory=dict)

    def __add__(self, other: Expect) -> Expect:
        return Expect(
            _sum(self.regular, other.regular),
            _sum(self.lazy, other.lazy),
            {**self.facts, **other.facts},
            _sum(self.ksm, other.ksm),
            _sum(self.no_ksm, other.no_ksm),
        )

    def counts(self, lazy: bool, ksm_promotes: bool) -> Counts:
        """The events that must happen on a kernel with lazy anon_vmas on (``lazy``) and that answer for KSM."""
        return _sum(self.lazy, self.ksm if ksm_promotes else self.no_ksm) if lazy else self.regular


def facts(**values: int) -> Expect:
    """Values that the scenario must report."""
    return Expect(facts=values)


def events(**counts: int) -> Expect:
    """The same counts on every kernel. ``__`` in a name stands for ``.``."""
    exact = {name.replace("__", "."): Count(count) for name, count in counts.items()}
    return Expect(exact, exact)


def only_regular(**counts: int) -> Expect:
    return Expect({name: Count(count) for name, count in counts.items()}, {})


def only_lazy(**counts: int) -> Expect:
    return Expect({}, {name: Count(count) for name, count in counts.items()})


NOTHING = Expect()


def first_touch(vmas: int) -> Expect:
    """First page of ``vmas`` anonymous VMAs that have no neighbour whose anon_vma they can reuse."""
    return Expect(
        {name: Count(vmas) for name in ("first_faults", "prepares", "anon_vma_allocs", "chain_allocs")},
        {name: Count(vmas) for name in ("first_faults", "lazy_prepares")},
    )


def first_lazy_of_a_process() -> Expect:
    """The first lazy VMA of an address space allocates the anon_vma that all its lazy VMAs share."""
    return only_lazy(anon_vma_allocs=1)


def first_touch_beside(vmas: int) -> Expect:
    """First page of ``vmas`` anonymous VMAs that can each reuse a neighbour's anon_vma."""
    return Expect(
        {name: Count(vmas) for name in ("first_faults", "prepares", "chain_allocs")},
        {name: Count(vmas) for name in ("first_faults", "lazy_prepares")},
    )


def first_write_to_file(vmas: int) -> Expect:
    """Private file mappings are never lazy, but use the anon_vma that the lazy VMAs share."""
    regular = dict(first_touch(vmas).regular)
    return Expect(regular, {name: count for name, count in regular.items() if name != "anon_vma_allocs"})


def unmapped(vmas: int) -> Expect:
    """Unmaps VMAs that were never shared: regular ones free a chain and an anon_vma each."""
    return only_regular(chain_frees=vmas, anon_vma_frees=vmas)


def unmapped_regular(vmas: int) -> Expect:
    """Unmaps VMAs that have a chain on every kernel, but their own anon_vma only on a regular one."""
    return Expect(
        {"chain_frees": Count(vmas), "anon_vma_frees": Count(vmas)},
        {"chain_frees": Count(vmas)},
    )


def cloned(clones: int, first_of: int, reason: str) -> Expect:
    """``clones`` chains cloned within a process. ``reason`` promotes ``first_of`` VMAs that were still lazy."""
    promoted = {"promotions": Count(first_of), f"promotions.{reason}": Count(first_of)}
    return Expect({"chain_allocs": Count(clones)}, {"chain_allocs": Count(clones + first_of), **promoted})


def promoted_by_ksmd(vmas: int) -> Expect:
    """ksmd merges the first page of each of ``vmas`` lazy VMAs."""
    promotions = {"promotions": Count(vmas), "promotions.ksm": Count(vmas)}
    kept = {"promotions.ksm": Count(0), "vmas_lazy": Count(0)}
    return Expect(ksm={**promotions, "chain_allocs": Count(vmas), "vmas_lazy": Count(-vmas)}, no_ksm=kept)


def forked_after_ksm(vmas: int) -> Expect:
    """The first fork of a process with ``vmas`` VMAs that KSM has merged pages of: it promotes those still lazy."""
    merged, lazy = forked(vmas, promoted=0), forked(vmas)
    return Expect(lazy.regular, ksm=merged.lazy, no_ksm=lazy.lazy)


def forked(vmas: int, generation: int = 1, promoted: int | None = None) -> Expect:
    """One fork by a process of ``generation``, with ``vmas`` VMAs of the scenario plus the interpreter's.

    Each VMA has one chain per generation. ``promoted`` VMAs were still lazy (default: all of the scenario's
    in generation 1, which nothing has shared yet; none later).
    """
    lazy_until_now = (vmas if generation == 1 else 0) if promoted is None else promoted
    regular = {
        "forks": Count(1),
        "fork_chains": Count(vmas * generation, generation),
        "anon_vma_allocs": Count(vmas, 1),
        "chain_allocs": Count(vmas * (generation + 1), generation + 1),
    }
    promotions = {"promotions": Count(lazy_until_now), "promotions.fork": Count(lazy_until_now)}
    return Expect(regular, _sum({**regular, **promotions}, {"chain_allocs": Count(lazy_until_now)}))


def also_forked(vmas: int) -> Expect:
    """Extra cost of a fork for ``vmas`` more VMAs that its process created and never shared."""
    regular = {"fork_chains": Count(vmas), "anon_vma_allocs": Count(vmas), "chain_allocs": Count(2 * vmas)}
    promotions = {"promotions": Count(vmas), "promotions.fork": Count(vmas), "chain_allocs": Count(vmas)}
    return Expect(regular, _sum(regular, promotions))


def walked(**pages: int) -> Expect:
    """Reverse-map walks of pages that one VMA maps, by walker; other walkers may add walks.

    For example, reclaim may check whether a page was referenced before it unmaps the page.
    """
    counts = {f"rmap_walks.{walker}": Count(count) for walker, count in pages.items()}
    counts |= {f"rmap_walk_vmas.{walker}": Count(count) for walker, count in pages.items()}
    return Expect(counts, counts)
