# SPDX-License-Identifier: MIT
"""What a step must cause, as data: exact numbers of events for a kernel that is lazy and one that is not.

Object counts follow from how an anon_vma is made. Regular: an anon_vma and a chain for each VMA at its
first anonymous fault; fork clones every chain of the parent's VMA and makes an anon_vma and a chain of
the child's own; split and mremap clone the chains. Lazy: the first fault allocates nothing, a promotion
allocates one chain, and from then on the VMA is regular.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# An event that is not named in an expectation must not happen.
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
# These are judged only where they are named: other work in the process's name may cause them.
WALKS = ("rmap_walks", "rmap_walk_vmas")
# Changes of the census of the scenario's first process.
CENSUS = ("vmas", "vmas_anon", "vmas_lazy", "vmas_private", "vmas_shared")
# True of any lazy design, while object counts are those of one whose lazy VMAs share an anon_vma per mm.
OF_EVERY_DESIGN = ("first_faults", "forks", "promotions", "promotions_failed")


@dataclass(frozen=True)
class Count:
    """``own``, plus ``inherited`` for each VMA that the interpreter itself brings into a fork."""

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
    """``regular``: on a kernel without laziness, or with it switched off; ``lazy``: with it on.

    ``facts`` are what the scenario itself states about the pages at the end of the step.
    """

    regular: Counts = field(default_factory=dict)
    lazy: Counts = field(default_factory=dict)
    facts: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Expect) -> Expect:
        return Expect(_sum(self.regular, other.regular), _sum(self.lazy, other.lazy), {**self.facts, **other.facts})


def facts(**values: int) -> Expect:
    """What the scenario must state."""
    return Expect(facts=values)


def events(**counts: int) -> Expect:
    """The same on every kernel."""
    exact = {name.replace("__", "."): Count(count) for name, count in counts.items()}
    return Expect(exact, exact)


def only_regular(**counts: int) -> Expect:
    return Expect({name: Count(count) for name, count in counts.items()}, {})


def only_lazy(**counts: int) -> Expect:
    return Expect({}, {name: Count(count) for name, count in counts.items()})


NOTHING = Expect()


def first_touch(vmas: int) -> Expect:
    """Anonymous VMAs without a usable neighbour get their first page."""
    return Expect(
        {name: Count(vmas) for name in ("first_faults", "prepares", "anon_vma_allocs", "chain_allocs")},
        {name: Count(vmas) for name in ("first_faults", "lazy_prepares")},
    )


def first_lazy_of_a_process() -> Expect:
    """The anon_vma that the lazy VMAs of an address space share is made for the first of them."""
    return only_lazy(anon_vma_allocs=1)


def first_touch_beside(vmas: int) -> Expect:
    """The same beside a neighbour whose anon_vma can be reused."""
    return Expect(
        {name: Count(vmas) for name in ("first_faults", "prepares", "chain_allocs")},
        {name: Count(vmas) for name in ("first_faults", "lazy_prepares")},
    )


def first_write_to_file(vmas: int) -> Expect:
    """Private file mappings are never lazy, but share the anon_vma of the lazy ones."""
    regular = dict(first_touch(vmas).regular)
    return Expect(regular, {name: count for name, count in regular.items() if name != "anon_vma_allocs"})


def unmapped(vmas: int) -> Expect:
    """VMAs that nothing ever shared go: chain and anon_vma where there are any."""
    return only_regular(chain_frees=vmas, anon_vma_frees=vmas)


def unmapped_regular(vmas: int) -> Expect:
    """VMAs go that have chains on any kernel, but an anon_vma of their own only without laziness."""
    return Expect(
        {"chain_frees": Count(vmas), "anon_vma_frees": Count(vmas)},
        {"chain_frees": Count(vmas)},
    )


def cloned(clones: int, first_of: int, reason: str) -> Expect:
    """Chains cloned within a process. ``first_of`` VMAs have been lazy until now, and ``reason`` promotes them."""
    promoted = {"promotions": Count(first_of), f"promotions.{reason}": Count(first_of)}
    return Expect({"chain_allocs": Count(clones)}, {"chain_allocs": Count(clones + first_of), **promoted})


def forked(vmas: int, generation: int = 1, promoted: int | None = None) -> Expect:
    """One fork by a process of that generation, whose VMAs are ``vmas`` of the scenario and the interpreter's.

    Each VMA has a chain for every generation. ``promoted`` VMAs have been lazy until now (all of them
    in the first generation, where they cannot have been shared).
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
    """What a fork costs more when its process has as many VMAs besides, made by itself and never shared."""
    regular = {"fork_chains": Count(vmas), "anon_vma_allocs": Count(vmas), "chain_allocs": Count(2 * vmas)}
    promotions = {"promotions": Count(vmas), "promotions.fork": Count(vmas), "chain_allocs": Count(vmas)}
    return Expect(regular, _sum(regular, promotions))


def walked(**pages: int) -> Expect:
    """Reverse-map walks of pages that one VMA maps, by walker. Walks of other kinds may come on top.

    Reclaim asks whether a page was referenced before it unmaps it, or does not when it was told to.
    """
    counts = {f"rmap_walks.{walker}": Count(count) for walker, count in pages.items()}
    counts |= {f"rmap_walk_vmas.{walker}": Count(count) for walker, count in pages.items()}
    return Expect(counts, counts)
