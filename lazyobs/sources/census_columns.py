# SPDX-License-Identifier: MIT
"""Converts rows of the census iterator to the census columns of the schema, per process and in total."""

from __future__ import annotations

from collections.abc import Iterable

from lazyobs.bpf.census import CensusRow
from lazyobs.kernel.facts import Subject
from lazyobs.kernel.slab import SlabRow
from lazyobs.model import CENSUS_NAMES
from lazyobs.sources.savings import ObjectBytes

Columns = dict[str, int | None]
# The columns that the iterator counts itself; the others follow from these and the size of an object.
_COUNTED = tuple(name for name in CENSUS_NAMES if not name.endswith("_bytes"))


class CensusColumns:
    """Holds the object sizes of a kernel, and whether its design has a pool."""

    def __init__(self, facts: Subject, slabs: dict[str, SlabRow]) -> None:
        """``slabs``: rows of slabinfo; if slabinfo is not readable, sizes are those of the structs in BTF."""

        def size(cache: str) -> int:
            return slabs[cache].object_bytes if cache in slabs else facts.struct_bytes.get(cache, 0)

        self._bytes = ObjectBytes(size("anon_vma"), size("anon_vma_chain"))
        self._has_pool = bool(facts.profile.pool_member)

    def of_process(self, row: CensusRow) -> Columns:
        """CENSUS_NAMES of one process."""
        columns: Columns = {name: getattr(row, name) for name in _COUNTED}
        columns["saved_bytes"] = self._saved(row)
        columns["savable_bytes"] = self._bytes.savable(row.vmas_private)
        return columns

    def of_all(self, rows: Iterable[CensusRow]) -> Columns:
        """Sums over address spaces: processes that share an address space count once."""
        spaces = {row.mm: row for row in rows}.values()
        sums: Columns = {name: sum(getattr(row, name) for row in spaces) for name in _COUNTED}
        sums["saved_bytes"] = sum(self._saved(row) for row in spaces)
        sums["savable_bytes"] = self._bytes.savable(sum(row.vmas_private for row in spaces))
        return sums

    def _saved(self, row: CensusRow) -> int:
        return self._bytes.saved(row.vmas_lazy, row.classic_anon_vmas, self._has_pool)
