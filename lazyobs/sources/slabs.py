# SPDX-License-Identifier: MIT
"""Converts rows of slabinfo to the slab caches of the schema."""

from __future__ import annotations

from lazyobs.kernel.slab import CACHES, Slabinfo, SlabRow
from lazyobs.model import Slab


def slab_rows(slabinfo: Slabinfo, rows: dict[str, SlabRow]) -> list[Slab]:
    """The watched caches in the form of the schema; unknown numbers are None."""
    return [_slab(name, rows.get(name), slabinfo.merged[name], slabinfo.free[name]) for name in CACHES]


def _slab(name: str, row: SlabRow | None, merged_with: list[str], free: int | None) -> Slab:
    if row is None:
        return Slab(name, None, None, None, merged_with)
    return Slab(name, row.active, row.total, row.object_bytes, merged_with, free)
