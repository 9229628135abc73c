# SPDX-License-Identifier: MIT
"""What is asked of a kernel's types before its reverse-map walks are judged."""

from __future__ import annotations

import pytest

from lazyobs.bpf import walk_facts
from lazyobs.kernel.btf import Btf
from tests.kernel.made_btf import Types

PAGE_FLAGS = {"PG_locked": 0, "PG_writeback": 1, "PG_head": 6}
TTU_FLAGS = {"TTU_SPLIT_HUGE_PMD": 0x4, "TTU_SYNC": 0x10}
MAPCOUNT = ("_mapcount", 48)


def kernel(
    page_flags: dict[str, int] = PAGE_FLAGS, ttu_flags: dict[str, int] = TTU_FLAGS, mapcount: tuple[str, int] = MAPCOUNT
) -> Btf:
    types = Types()
    if page_flags:
        types.enum("pageflags", page_flags)
    if ttu_flags:
        types.enum("ttu_flags", ttu_flags)
    integer = types.integer("int")
    atomic = types.struct("", 4, [("counter", integer, 0)])
    types.struct("folio", 64, [(mapcount[0], atomic, mapcount[1])])
    return types.btf(*walk_facts.ENUMS, "folio")


def without(name: str, values: dict[str, int]) -> dict[str, int]:
    return {label: value for label, value in values.items() if label != name}


def test_a_kernel_that_has_all_of_it() -> None:
    assert walk_facts.why_not(kernel()) == ""
    assert walk_facts.values(kernel()) == {"WALKS_ARE_JUDGED": 1, "PG_LOCKED": 0, "PG_HEAD": 6, "TTU_SYNC": 0x10}


def test_values_are_the_kernels_own() -> None:
    other = kernel({"PG_locked": 23, "PG_head": 101}, {"TTU_SYNC": 0x211})
    assert walk_facts.values(other) == {"WALKS_ARE_JUDGED": 1, "PG_LOCKED": 23, "PG_HEAD": 101, "TTU_SYNC": 0x211}


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        (kernel(without("PG_locked", PAGE_FLAGS)), "PG_locked"),
        (kernel(without("PG_head", PAGE_FLAGS)), "PG_head"),
        (kernel(ttu_flags=without("TTU_SYNC", TTU_FLAGS)), "TTU_SYNC"),
        (kernel(mapcount=("_entire_mapcount", 48)), "folio._mapcount"),
        (kernel(page_flags={}), "PG_locked, PG_head"),
        (kernel({}, {}, ("", 0)), "PG_locked, PG_head, TTU_SYNC, folio._mapcount"),
        (Types().btf(*walk_facts.ENUMS, "folio"), "PG_locked, PG_head, TTU_SYNC, folio._mapcount"),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_judged(found: Btf, missing: str) -> None:
    assert walk_facts.why_not(found) == f"this kernel's BTF has no {missing}"
    assert walk_facts.values(found)["WALKS_ARE_JUDGED"] == 0
