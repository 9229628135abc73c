# SPDX-License-Identifier: MIT
"""What would work on a kernel that does not run: of a made one, and of this one, where the probes can say."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazyobs.bpf import outlook
from lazyobs.bpf.outlook import Outlook
from lazyobs.bpf.points import POINTS
from lazyobs.kernel.btf import Btf
from lazyobs.sources import open as opening
from tests.kernel import made_kernel

FUNCTION_POINTS = [point.name for point in POINTS if point.calls and not point.lazy_only and not point.some_kernels]


def of(data: bytes, symbols: bytes = b"") -> Outlook:
    return outlook.of(data, symbols, "made", None, None)


def lost(found: Outlook) -> list[str]:
    return [
        point.name for point in POINTS if not found.tiers[point.name] and not point.lazy_only and not point.some_kernels
    ]


def test_a_kernel_with_everything_loses_nothing() -> None:
    found = of(made_kernel.types())
    assert lost(found) == []
    assert {found.tiers[name] for name in FUNCTION_POINTS} == {"fentry"}
    assert found.unknown == {} and found.closed == {}
    assert all(row.offset is not None for row in outlook.fields(found.facts) if row.required)


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("__anon_vma_prepare", ["slab", "prepare"]),
        ("anon_vma_fork", ["slab", "anon_vma_fork"]),
        ("rmap_walk_anon", ["rmap_walk"]),
        ("try_to_migrate_one", ["walk_callbacks"]),
    ],
)
def test_a_function_with_another_name_loses_its_points(name: str, points: list[str]) -> None:
    found = of(made_kernel.types(renamed={name: f"new_{name}"}))
    assert lost(found) == points
    assert all(f"no {name}" in why or f": {name}" in why for point in points for why in found.refused[point].values())
    assert all("by its types" in why for point in points for why in found.refused[point].values())


def test_a_symbol_table_decides_where_it_is_given() -> None:
    data = made_kernel.types()
    text = b"".join(
        b"%x t %s\n" % (0x1000 + 16 * at, name.encode())
        for at, name in enumerate(Btf(data, []).functions())
        if name != "rmap_walk_anon"
    )
    found = of(data, text + b"ffff t rmap_walk_anon.constprop.0\n")
    assert lost(found) == ["rmap_walk"]
    assert set(found.refused["rmap_walk"].values()) == {"rmap_walk_anon exists only as rmap_walk_anon.constprop.0"}


def test_a_tier_that_the_kernel_was_built_without_is_closed() -> None:
    found = of(made_kernel.types(without=["register_ftrace_direct"]))
    assert {found.tiers[name] for name in FUNCTION_POINTS} == {"kprobe"}
    found = of(made_kernel.types(without=made_kernel.TIER_FUNCTIONS))
    assert lost(found) == FUNCTION_POINTS


def test_a_struct_member_that_is_gone_ends_all_probes_and_an_optional_one_none() -> None:
    found = of(made_kernel.types(without=["vm_area_struct.anon_vma"]))
    assert set(found.tiers.values()) == {None}
    assert found.refused["slab"] == {"bpf": "this kernel has no vm_area_struct.anon_vma"}
    assert lost(of(made_kernel.types(without=["anon_vma.degree"]))) == []
    assert lost(of(made_kernel.types(without=["anon_vma.rwsem"]))) == ["lock"]


def test_a_walk_that_cannot_be_judged_is_not() -> None:
    found = of(made_kernel.types(without=["folio._mapcount.counter"]))
    assert "folio._mapcount" in found.unjudged["walk_complete"]


def test_of_this_kernel_it_says_what_attaches(bpf: None) -> None:
    data = Path("/sys/kernel/btf/vmlinux").read_bytes()
    found = of(data, Path("/proc/kallsyms").read_bytes())
    _, session = opening.attach(None, None, None)
    try:
        for point in POINTS:
            refused = session.refused.get(point.name, {})
            if all(tier in found.refused[point.name] for tier in refused):  # nothing that a policy refuses
                assert found.tiers[point.name] == session.tiers[point.name], point.name
        assert found.unknown == session.unknown
        assert found.unjudged == session.unjudged
        fixed = [point.name for point in POINTS if point.fixed]
        assert {name: found.tiers[name] for name in fixed} == {name: session.tiers[name] for name in fixed}
    finally:
        session.close()
