# SPDX-License-Identifier: MIT
"""Rows of slabinfo as slab caches of the schema."""

from __future__ import annotations

from pathlib import Path

from lazyobs.kernel.slab import Slabinfo
from lazyobs.sources.slabs import slab_rows
from tests.kernel.test_slab import attributes, tree


def test_active_objects_come_with_the_bound_of_their_error(tmp_path: Path) -> None:
    proc, _ = tree(tmp_path, merged=True)
    slabinfo = Slabinfo(proc, attributes(tmp_path / "other", "anon_vma", objs_per_slab=39, sheaf_capacity=60))
    rows = {slab.cache: slab for slab in slab_rows(slabinfo, slabinfo.read())}
    slabinfo.close()
    assert rows["anon_vma"].objects_active == 351
    assert (rows["anon_vma"].objects_free_at_most or 0) >= 60 * 13
    assert rows["vm_area_struct"].objects_free_at_most is None
