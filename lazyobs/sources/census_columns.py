# SPDX-License-Identifier: MIT
"""Converts rows of the census iterator to the census columns of the schema, per process and in total."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

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
        self._before: dict[tuple[CensusRow, Counts | None, int | None], Savable] = {}  # of the last of_all()

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
        listed = list(rows)
        sharers = Counter(row.mm for row in listed)
        spaces = list({row.mm: row for row in listed}.values())
        columns = dict(zip(CensusRow._fields, zip(*spaces)))
        sums: Columns = {
            name: sum(columns.get(name, ()))
            if name in CensusRow._fields
            else _sum(getattr(row, name) for row in spaces)
            for name in _COUNTED
        }
        found = []
        for row in spaces:
            known = counts.get((row.tgid, row.start_boottime)) if counts and sharers[row.mm] == 1 else None
            missed = None if known is None else self._missed(row)
            key = row, None if missed is None else known, missed
            found.append((key, self._before.get(key) or self._savable_of(*key)))
        self._before = dict(found)  # most processes are idle, and their rows the same the next time
        savable = Savable(*(sum(getattr(one, name) for _, one in found) for name in ("low", "value", "high")))
        return self._with_bytes(sums, sum(self._saved(row) for row in spaces), savable)

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


def _sum(values: Iterable[int | None]) -> int | None:
    """None if any of them is not known."""
    found = list(values)
    return None if None in found else sum(one or 0 for one in found)
