# SPDX-License-Identifier: MIT
"""Converts rows of the census iterator to the census columns of the schema, per process and in total."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lazyobs.bpf.census import CensusRow
from lazyobs.bpf.counts import PROCESS_COUNTS
from lazyobs.kernel.facts import Subject
from lazyobs.kernel.slab import SlabRow
from lazyobs.model import CENSUS_NAMES
from lazyobs.sources.history import History
from lazyobs.sources.savings import ObjectBytes, Rule, Savable, untraced_copies

Columns = dict[str, int | None]
Counts = tuple[int, ...]  # of a process, by PROCESS_COUNTS
# The columns that the iterator counts itself; the others follow from these and the size of an object.
_COUNTED = tuple(name for name in CENSUS_NAMES if not name.endswith("_bytes"))
ALLOCATED = ("chain_allocs", "anon_vma_allocs", "fork_chains")  # counters; untraced_copies() takes them in this order
_ALLOCATED = tuple(PROCESS_COUNTS.index(name) for name in ALLOCATED)
_Key = tuple[CensusRow, "Counts | None", "int | None"]  # row, counts of its process, allocations missed


class _Space(NamedTuple):
    """``numbers``: _COUNTED and saved, low, value and high savable bytes; those in ``unknown`` are 0."""

    key: _Key
    numbers: tuple[int, ...]
    unknown: tuple[str, ...]


class CensusColumns:
    """Holds the object sizes of a kernel, and the rule of its design."""

    def __init__(
        self,
        facts: Subject,
        slabs: Mapping[str, SlabRow],
        unknown: Mapping[str, str],
        history: History | None = None,
    ) -> None:
        """``slabs``: rows of slabinfo; if slabinfo is not readable, sizes are those of the structs in BTF.
        ``unknown``: {column: why it is null}, among others. ``history``: whose allocations are counted; None: of no
        process."""

        def size(cache: str) -> int:
            return slabs[cache].object_bytes if cache in slabs else facts.struct_bytes.get(cache, 0)

        self._bytes = ObjectBytes(size("anon_vma"), size("anon_vma_chain"))
        self._rule = Rule.of(facts.profile)
        self._unknown = [name for name in CENSUS_NAMES if name in unknown]
        self._history = history
        self._before: dict[int, _Space] = {}  # of the last of_all(), by its mm

    @property
    def changes(self) -> int:
        """Changes when columns may differ for the same row and counts."""
        return self._history.changes if self._history is not None else 0

    def of_process(self, row: CensusRow, counts: Counts | None = None) -> Columns:
        """CENSUS_NAMES of one process; ``counts``: what it has caused since the probes attached."""
        columns: Columns = {name: getattr(row, name) for name in _COUNTED}
        return self._with_bytes(columns, self._saved(row), self._savable(row, counts))

    def of_none(self) -> Columns:
        """CENSUS_NAMES of a process without VMAs."""
        return self._with_bytes(dict.fromkeys(CENSUS_NAMES, 0), 0, Savable())

    def of_all(self, rows: Iterable[CensusRow], counts: Mapping[tuple[int, int], Counts] | None = None) -> Columns:
        """Sums over address spaces: processes that share an address space count once. ``counts``: those of each
        process, by tgid and start."""
        spaces: dict[int, CensusRow] = {}
        shared: set[int] = set()
        for row in rows:
            if row.mm in spaces:
                shared.add(row.mm)
            spaces[row.mm] = row
        found = {}
        for mm, row in spaces.items():
            known = counts.get((row.tgid, row.start_boottime)) if counts and mm not in shared else None
            missed = None if known is None else self._missed(row)
            key = row, None if missed is None else known, missed
            before = self._before.get(mm)
            found[mm] = before if before is not None and before.key == key else self._space(key)
        self._before = found  # most processes are idle, and their rows the same the next time
        numbers = [space.numbers for space in found.values()]
        *sums, saved, low, value, high = map(sum, zip(*numbers)) if numbers else (0,) * (len(_COUNTED) + 4)
        columns: Columns = dict(zip(_COUNTED, sums))
        columns.update((name, None) for space in found.values() for name in space.unknown)
        return self._with_bytes(columns, saved, Savable(low, value, high))

    def _space(self, key: _Key) -> _Space:
        row, savable = key[0], self._savable_of(*key)
        counted = {name: getattr(row, name) for name in _COUNTED}
        unknown = tuple(name for name, number in counted.items() if number is None)
        numbers = (*(number or 0 for number in counted.values()), self._saved(row))
        return _Space(key, (*numbers, savable.low, savable.value, savable.high), unknown)

    def _with_bytes(self, columns: Columns, saved: int, savable: Savable) -> Columns:
        columns["saved_bytes"] = saved
        columns["savable_bytes"] = savable.value
        columns["savable_low_bytes"], columns["savable_high_bytes"] = savable.low, savable.high
        for name in self._unknown:
            columns[name] = None
        return columns

    def _saved(self, row: CensusRow) -> int:
        return self._bytes.saved(row.vmas_lazy, row.classic_anon_vmas, self._rule.pool)

    def _missed(self, row: CensusRow) -> int | None:
        return self._history.missed(row.start_boottime) if self._history is not None else None

    def _savable(self, row: CensusRow, counts: Counts | None) -> Savable:
        return self._savable_of(row, counts, self._missed(row))

    def _savable_of(self, row: CensusRow, counts: Counts | None, missed: int | None) -> Savable:
        if counts is None or missed is None:
            return self._bytes.savable(row, self._rule, None)
        allocated = (counts[index] for index in _ALLOCATED)
        return self._bytes.savable(row, self._rule, untraced_copies(row, *allocated) + missed)
