# SPDX-License-Identifier: MIT
"""Orphans: what a barrier's readings say about live objects that no VMA holds."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lazyobs.kernel.slab import Slabinfo, SlabRow
from lazyobs.kernel.slab_barrier import SlabBarrier
from lazyobs.sources.account import Account, Flow, Held, why_not_whole
from lazyobs.sources.orphans import SITES, SLAB, OrphanReader, Orphans
from tests.harness import skip

LIVE_AT_ATTACH = {"anon_vma": 211, "anon_vma_chain": 307}
HIDDEN = 23  # anon_vmas of a process that the iterator does not visit


class Machine:
    """A kernel, its slabinfo and its slab barrier in one. ``busy`` is called between any two things that are read."""

    def __init__(self, merged: bool = True) -> None:
        self.allocs, self.frees = {"anon_vma": 0, "anon_vma_chain": 0}, {"anon_vma": 0, "anon_vma_chain": 0}
        self.live = dict(LIVE_AT_ATTACH)
        self.nobodys = {"anon_vma": HIDDEN, "anon_vma_chain": HIDDEN}  # live, and of no VMA that is visited
        self.cut = self.misses = self.free_room = 0
        self.merged = {"anon_vma": [], "anon_vma_chain": ["fs_cache"] if merged else [], "vm_area_struct": []}
        self.missing: dict[str, str] = {}
        self.busy: Callable[[], None] = lambda: None

    def why_not(self, feature: str) -> str:
        return self.missing.get(feature, "")

    def make(self, anon_vmas: int, chains: int, held: bool = True, seen: bool = True) -> None:
        for cache, count in (("anon_vma", anon_vmas), ("anon_vma_chain", chains)):
            self.live[cache] += count
            self.nobodys[cache] += 0 if held else count
            if seen:
                (self.allocs if count > 0 else self.frees)[cache] += abs(count)

    def account(self) -> Account:
        self.busy()
        anon_vma, chain = (Flow(self.allocs[cache], self.frees[cache]) for cache in self.live)
        return Account(anon_vma, chain, self.misses)

    def held(self) -> Held:
        self.busy()
        anon_vma, chain = (self.live[cache] - self.nobodys[cache] for cache in self.live)
        return Held(anon_vma, chain, self.cut, False)

    def shrink(self) -> bool:
        self.free_room = 0
        self.busy()
        return True

    def slabs(self) -> dict[str, SlabRow]:
        self.busy()
        active = {cache: live + self.free_room for cache, live in self.live.items()}
        active["anon_vma_chain"] += 53 if self.merged["anon_vma_chain"] else 0  # the other cache's
        return {cache: SlabRow(count, count + 101, 64, 64) for cache, count in active.items()}


def reader(machine: Machine, readings: int = 5) -> OrphanReader:
    class Slabs:
        why_not, merged, read = "", machine.merged, staticmethod(machine.slabs)

    class Barrier:
        why_not, shrink = "", staticmethod(machine.shrink)

    slabs: Any = Slabs()
    barrier: Any = Barrier()
    source: Any = machine
    return OrphanReader(source, slabs, barrier, readings)


def of(found: list[Orphans]) -> tuple[Orphans, Orphans]:
    anon_vma, chain = found
    assert (anon_vma.cache, chain.cache) == ("anon_vma", "anon_vma_chain")
    return anon_vma, chain


def test_a_quiet_machine_has_a_constant() -> None:
    machine = Machine()
    anon_vma, chain = of(reader(machine).read())
    assert (anon_vma.orphans, anon_vma.spread, anon_vma.source, anon_vma.calm) == (HIDDEN, 0, SLAB, True)
    assert (anon_vma.live, anon_vma.held, anon_vma.residual) == (211, 211 - HIDDEN, 0)
    # Of a merged cache they are counted from the first barrier on.
    assert (chain.orphans, chain.source, chain.held) == (None, "", 307 - HIDDEN) and "fs_cache" in chain.reason


def test_what_is_lost_is_counted_to_the_object_by_either_source() -> None:
    for merged, source, base in ((True, SITES, 0), (False, SLAB, HIDDEN)):
        machine = Machine(merged)
        taking = reader(machine)
        taking.read()
        machine.make(101, 211)
        machine.make(1, 2, held=False)
        anon_vma, chain = of(taking.read())
        assert anon_vma.by_sites == 1 + HIDDEN - LIVE_AT_ATTACH["anon_vma"]
        assert (anon_vma.orphans, anon_vma.residual) == (HIDDEN + 1, 0)
        assert (chain.orphans, chain.source) == (base + 2, source)


def test_what_vmas_hold_is_no_orphan() -> None:
    machine = Machine()
    taking = reader(machine)
    taking.read()
    machine.make(5003, 10_007)
    anon_vma, chain = of(taking.read())
    assert (anon_vma.orphans, chain.orphans, anon_vma.held) == (HIDDEN, 0, 211 - HIDDEN + 5003)


def test_a_reading_is_never_too_low_whatever_comes_and_goes_meanwhile() -> None:
    """Processes are born and die between any two things that are read: the result is an upper bound, and no number
    that is called calm is wrong."""
    chance = random.Random(23)
    for _ in range(211):
        machine = Machine(merged=False)
        machine.make(1009, 2003)

        def busy(machine: Machine = machine) -> None:
            made = chance.choice((0, 0, 0, 23, -23, 101, -101))
            machine.make(made, 2 * made)
            if made < 0:
                machine.free_room += chance.randrange(-made)

        machine.busy = busy
        for found in of(reader(machine).read()):
            assert found.orphans is not None and found.orphans >= HIDDEN
            if found.calm:
                assert (found.orphans, found.spread) == (HIDDEN, 0)


def test_the_smallest_of_several_readings_is_kept() -> None:
    machine = Machine()
    left = [0, 0, 3, 0, 7]  # processes on their way at each of five readings

    def on_its_way() -> Held:
        count = left.pop()
        held = Machine.held(machine)
        return held._replace(anon_vma=held.anon_vma - count)

    machine.held = on_its_way  # type: ignore[method-assign]
    anon_vma, _ = of(reader(machine).read())
    assert (anon_vma.orphans, anon_vma.spread) == (HIDDEN, 7)


def test_forks_that_no_probe_sees_leave_orphans_by_slabinfo_alone() -> None:
    """A task that the kernel hides from BPF forks; its children, which are not hidden, free what it allocated. So it
    was in a recording of a stock kernel: allocations less frees fell by 2,400 anon_vmas and 4,800 chains."""
    machine = Machine()
    taking = reader(machine)
    taking.read()
    for _ in range(12):
        machine.make(37, 74, seen=False)
        machine.make(-37, -74)
    anon_vma, chain = of(taking.read())
    assert (anon_vma.orphans, anon_vma.spread, anon_vma.residual) == (HIDDEN, 0, 12 * 37)
    assert chain.orphans is None and chain.spread is None
    assert "fs_cache" in chain.reason and "444 anon_vmas" in chain.reason


def test_a_storm_at_the_beginning_is_no_base() -> None:
    """What is on its way then would be missing later, and hide as large a loss."""
    machine = Machine()
    taking = reader(machine)
    machine.nobodys["anon_vma_chain"] += 101

    def storm() -> None:
        machine.make(1, 2)

    machine.busy = storm
    for _ in range(3):
        anon_vma, chain = of(taking.read())
        assert chain.orphans is None and "nothing was allocated" in chain.reason
        assert anon_vma.residual is None and not anon_vma.calm
    machine.busy = lambda: None
    machine.nobodys["anon_vma_chain"] -= 101
    assert of(taking.read())[1].orphans is None
    machine.make(1, 2, held=False)
    assert of(taking.read())[1].orphans == 2


def test_chains_that_the_iterator_leaves_out_are_not_called_lost() -> None:
    machine = Machine()
    machine.cut = 1
    for found in of(reader(machine).read()):
        assert found.orphans is None and found.reason == "1 VMA with more chains than the iterator counts"


def test_without_the_iterator_there_are_none() -> None:
    machine = Machine()
    machine.missing = {"held": "no iterator here"}
    for found in of(reader(machine).read()):
        assert (found.orphans, found.held, found.reason) == (None, None, "no iterator here")


def test_in_a_namespace_of_its_own_the_iterator_does_not_see_the_machine(tmp_path: Path) -> None:
    link = tmp_path / "pid"
    link.symlink_to("pid:[4026531836]")
    assert why_not_whole(str(link)) == ""
    (tmp_path / "other").symlink_to("pid:[4026532001]")
    assert "pid namespace" in why_not_whole(str(tmp_path / "other"))
    assert "No such file" in why_not_whole(str(tmp_path / "none"))


@pytest.fixture
def taking(live) -> OrphanReader:
    source = live()
    made = OrphanReader(source, Slabinfo(), SlabBarrier())
    if made.why_not:
        skip("kernel", made.why_not)
    return made


def least(taking: OrphanReader) -> int:
    """Of anon_vmas. Other processes on this machine come and go."""
    found = [one.orphans for one in (of(taking.read())[0] for _ in range(7)) if one.orphans is not None]
    return min(found)


def test_here_two_large_processes_leave_no_orphan_behind(taking: OrphanReader, islands) -> None:
    before = least(taking)
    programs = [islands(5003) for _ in range(2)]
    for program in programs:
        for command in ("touch", "fork"):
            program.tell(command)
    assert abs(least(taking) - before) <= 101, "10,006 and their children's are held"
    for program in programs:
        program.tell("reap")
        program.end()
    assert abs(least(taking) - before) <= 101
