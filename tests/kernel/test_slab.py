# SPDX-License-Identifier: MIT
"""slabinfo and slab merging on captured trees."""

from __future__ import annotations

import os

from lazyobs.kernel.slab import UNKNOWN, Slabinfo, free_at_most, merged_with

SLABINFO = """\
slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables
eventpoll_pwq        640    704     64   64    1 : tunables    0    0    0 : slabdata     11     11      0
anon_vma             351    390    104   39    1 : tunables    0    0    0 : slabdata     10     10      0
vm_area_struct      1201   1209    208   39    2 : tunables    0    0    0 : slabdata     31     31      0
"""


def tree(tmp_path, merged: bool):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/slabinfo").write_text(SLABINFO)
    slab = tmp_path / "sys/kernel/slab"
    (slab / ":A-0000064").mkdir(parents=True)
    (slab / "anon_vma").mkdir()
    for name in ("anon_vma_chain", "eventpoll_pwq", "fs_cache") if merged else ():
        os.symlink(":A-0000064", slab / name)
    return str(tmp_path / "proc"), str(tmp_path / "sys")


def test_a_merged_caches_row_is_found_under_the_name_it_bears(tmp_path):
    proc, sys = tree(tmp_path, merged=True)
    slabinfo = Slabinfo(proc, sys)
    assert slabinfo.merged["anon_vma_chain"] == ["eventpoll_pwq", "fs_cache"]
    assert slabinfo.merged["anon_vma"] == []
    rows = slabinfo.read()
    assert (rows["anon_vma_chain"].active, rows["anon_vma_chain"].object_bytes) == (640, 64)
    assert (rows["anon_vma"].active, rows["anon_vma"].total) == (351, 390)


def test_another_caches_row_is_not_taken_without_a_merge(tmp_path):
    rows = Slabinfo(*tree(tmp_path, merged=False)).read()
    assert set(rows) == {"anon_vma", "vm_area_struct"}


def test_a_closed_slabinfo_says_so(tmp_path):
    slabinfo = Slabinfo(str(tmp_path), str(tmp_path))
    assert slabinfo.read() == {} and "slabinfo" in slabinfo.why_not


def test_it_can_be_read_again_from_the_kept_descriptor(tmp_path):
    proc, sys = tree(tmp_path, merged=True)
    slabinfo = Slabinfo(proc, sys)
    assert slabinfo.read() == slabinfo.read()
    slabinfo.close()
    assert slabinfo.read() == {}


def test_what_it_is_merged_with_is_unknown_without_sysfs(tmp_path):
    assert merged_with("anon_vma_chain", str(tmp_path)) == [UNKNOWN]


def attributes(tmp_path, name: str, nodes: int = 1, **values: int) -> str:
    """A /sys with one cache that has these attributes."""
    folder = tmp_path / "sys/kernel/slab" / name
    folder.mkdir(parents=True)
    for attribute, value in values.items():
        (folder / attribute).write_text(f"{value}\n")
    for node in range(nodes):
        (tmp_path / f"sys/devices/system/node/node{node}").mkdir(parents=True)
    return str(tmp_path / "sys")


def test_free_objects_that_count_as_active_have_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    # 7.3: three sheaves a CPU and ten a node; there are no per-CPU slabs, and no cpu_partial
    seven = attributes(tmp_path / "7.3", "anon_vma", nodes=2, objs_per_slab=39, sheaf_capacity=60)
    assert free_at_most("anon_vma", seven) == 60 * (3 * 2 + 10 * 2)
    # 6.12: a slab in use and ceil(2 * 120 / 39) = 7 partial ones a CPU
    six = attributes(tmp_path / "6.12", "anon_vma", objs_per_slab=39, cpu_partial=120)
    assert free_at_most("anon_vma", six) == 2 * 39 * (1 + 7)
    # 6.18 without sheaves for this cache
    both = attributes(tmp_path / "6.18", "anon_vma", objs_per_slab=39, cpu_partial=0, sheaf_capacity=0)
    assert free_at_most("anon_vma", both) == 2 * 39
    assert free_at_most("anon_vma_chain", seven) is None
