# SPDX-License-Identifier: MIT
"""Which VMAs mainline would let share an anon_vma: from 7.3 on their anonymous page offsets have to align, too.

No kernel here has that member. It is put where another one is: by a design for which VMAs are "lazy" whose anon_vma
has bit 3 in its address, some of the VMAs of this kernel are counted as a lazy kernel's would be.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lazyobs.bpf import census, maps, plan, structs
from lazyobs.bpf.session import Loader, interpreters
from lazyobs.kernel import profile
from lazyobs.kernel.btf import Btf
from lazyobs.selftest.memory import Memory
from lazyobs.selftest.syscalls import PAGE, PROT_READ, mprotect, munmap

LAZY = 'name = "own"\nabout = ""\n[vma]\nlazy = "tag"\ntag_mask = 8\ntag_lazy = 8\n[promotion]\nfunction = "panic"\n'
LOW, HIGH = "__vm_anon_pgoff_lo", "__vm_anon_pgoff_hi"


@pytest.fixture
def seen(bpf: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function: (VMAs without an anon_vma of their own, anon_vmas that mainline would have made for them) of this
    process, with the members of the table at these offsets of the VMA."""
    file = tmp_path / "own.toml"
    file.write_text(LAZY)
    facts = plan.gather([profile.load(file)])
    member = Btf.member

    def look(places: dict[str, tuple[str, int]]) -> tuple[int, int]:
        def moved(self: Btf, struct: str, path: str) -> Any:
            if struct == "vm_area_struct" and path in places:
                name, by = places[path]
                found = member(self, struct, name)
                assert found is not None
                return replace(found, offset=found.offset + by, size=4)
            return member(self, struct, path)

        monkeypatch.setattr(Btf, "member", moved)
        made = plan.make(facts, "tracepoint", wanted=("census",))
        monkeypatch.setattr(Btf, "member", member)
        with Loader(interpreters()[0]).load(made) as session:
            assert session.tiers["census"] == "iter", session.refused
            raw = maps.read_iterator(session.links["census:task_vma"])
        (row,) = (row for row in census.CensusRows().read(raw) if row.tgid == os.getpid())
        return row.vmas_lazy, row.classic_anon_vmas

    memory = Memory()
    blocks = memory.islands(101, 3)
    memory.fill(blocks, 3)
    for block in blocks:  # three VMAs, which share an anon_vma
        mprotect(block + PAGE, PAGE, PROT_READ)
    yield look
    for block in blocks:
        munmap(block, 3 * PAGE)


def test_page_offsets_of_the_file_alone_before_7_3(seen) -> None:
    vmas, anon_vmas = seen({})
    assert vmas - anon_vmas >= 2 * 23  # the blocks with bit 3, about half of 101, count once each


def test_offsets_that_align_as_the_others_do_change_nothing(seen) -> None:
    assert seen({LOW: ("vm_pgoff", 0), HIGH: ("vm_pgoff", 4)}) == seen({})


@pytest.mark.parametrize("both", [False, True])
def test_offsets_that_do_not_align_are_counted_apart(seen, both: bool) -> None:
    """The address in bytes is one that never continues where pages do."""
    places = {LOW: ("vm_start", 0)} | ({HIGH: ("vm_start", 4)} if both else {})
    vmas, anon_vmas = seen(places)
    assert vmas == anon_vmas > 101


def test_the_table_has_both_halves() -> None:
    found = {wanted.path: wanted.label for wanted in structs.STRUCTS["vm_area_struct"]}
    assert (found[LOW], found[HIGH]) == ("anon_pgoff_low", "anon_pgoff_high")
