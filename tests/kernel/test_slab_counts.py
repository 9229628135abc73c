# SPDX-License-Identifier: MIT
"""The counts of /sys/kernel/slab are those of slabinfo."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lazyobs.kernel.slab import CACHES, Slabinfo
from lazyobs.kernel.slab_counts import SlabCounts
from tests.harness import skip
from tests.kernel.test_slab import tree


def write(directory: Path, objects: str, total: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "objects").write_text(objects)
    (directory / "total_objects").write_text(total)


def test_after_the_first_reading_slabinfo_is_not_read(tmp_path: Path) -> None:
    proc, sys = tree(tmp_path, merged=True)
    for name in ("anon_vma", "vm_area_struct", ":A-0000064"):
        write(tmp_path / "sys/kernel/slab" / name, "211 N0=101 N1=110\n", "223 N0=112 N1=111\n")
    slabinfo = Slabinfo(proc, sys)
    first, second = slabinfo.read(), slabinfo.read()
    assert [first[name].active for name in CACHES] == [351, 640, 1201]
    assert {(row.active, row.total) for row in second.values()} == {(211, 223)}
    assert [second[name].object_bytes for name in CACHES] == [104, 64, 208]
    slabinfo.close()


@pytest.mark.parametrize(("objects", "total"), [("", "5"), ("x N0=1", "5"), ("9" * 40, "5"), ("7 N0=7", "5 N0=5")])
def test_what_is_no_number_or_impossible_is_taken_from_slabinfo(tmp_path: Path, objects: str, total: str) -> None:
    proc, sys = tree(tmp_path, merged=True)
    for name in ("anon_vma", "vm_area_struct", ":A-0000064"):
        write(tmp_path / "sys/kernel/slab" / name, "211 N0=211\n", "223 N0=223\n")
    write(tmp_path / "sys/kernel/slab/anon_vma", objects, total)
    slabinfo = Slabinfo(proc, sys)
    assert slabinfo.read() == slabinfo.read()
    slabinfo.close()


def test_one_file_is_not_enough(tmp_path: Path) -> None:
    write(tmp_path / "kernel/slab/anon_vma", "1", "2")
    (tmp_path / "kernel/slab/anon_vma/total_objects").unlink()
    before = len(os.listdir("/proc/self/fd"))
    assert not SlabCounts("anon_vma", str(tmp_path)).usable
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.usefixtures("root")
def test_they_are_the_numbers_of_slabinfo() -> None:
    """Where slabinfo was the same before and after, the counts between are its own."""
    counts = {name: SlabCounts(name) for name in CACHES}
    if not all(one.usable for one in counts.values()):
        skip("kernel", "no /sys/kernel/slab/CACHE/objects (CONFIG_SLUB_DEBUG)")
    slabinfo = Slabinfo()
    same, other = dict.fromkeys(CACHES, 0), dict.fromkeys(CACHES, 0)
    for _ in range(101):
        before = slabinfo._whole()
        found = {name: one.read() for name, one in counts.items()}
        after = slabinfo._whole()
        for name in CACHES:
            if before[name] == after[name]:
                agree = found[name] == (after[name].active, after[name].total)
                (same if agree else other)[name] += 1  # an object can come and go between two readings
    assert sum(same.values()) > 0, "no cache stood still in any of 101 readings"
    assert all(10 * other[name] <= same[name] for name in CACHES), (same, other)
