# SPDX-License-Identifier: MIT
"""Bytes that laziness saves, or would save: objects times the room of an object in its slab. docs/savings.md.

A lazy VMA has no chain: saved = lazy VMAs x anon_vma_chain, and the anon_vmas that mainline would have made for them
(neighbours share one, so there are fewer than VMAs). Where a design keeps one anon_vma per address space (a pool), that
counts against it, and a regular VMA in the pool has its chain but saves the anon_vma it would have had.

What laziness would save follows from the design (``Rule``, from [savings] of the profile) and from how the regular VMAs
came by their objects. Some of that leaves a trace in the kernel, and some does not: hence two bounds and a value
between them.
"""

from __future__ import annotations

from typing import NamedTuple

from lazyobs.bpf.census import CensusRow
from lazyobs.bpf.layouts import ROOT_SHARE
from lazyobs.kernel.profile import Profile


class Rule(NamedTuple):
    """What a design makes of VMAs; the words are those of [savings] in a profile (kernel/profile.py)."""

    files: str = "either"
    copies: str = "either"
    children: str = "either"
    pool: bool = False

    @classmethod
    def of(cls, profile: Profile) -> Rule:
        return cls(profile.saves_files, profile.saves_copies, profile.saves_children, bool(profile.pool_member))


class Savable(NamedTuple):
    """Bytes: ``low`` <= ``value`` <= ``high``."""

    low: int = 0
    value: int = 0
    high: int = 0


class ObjectBytes(NamedTuple):
    """Room of an object in its slab, from slabinfo; from BTF (slightly less) if slabinfo is not readable."""

    anon_vma: int
    chain: int

    def saved(self, lazy_vmas: int, classic_anon_vmas: int, has_pool: bool) -> int:
        """Bytes saved in an address space with that many lazy VMAs and avoided anon_vmas."""
        pool = self.anon_vma if has_pool and classic_anon_vmas else 0
        return lazy_vmas * self.chain + classic_anon_vmas * self.anon_vma - pool

    def savable(self, row: CensusRow, rule: Rule, untraced: int | None) -> Savable:
        """What the regular VMAs of an address space would save.

        ``untraced``: the most VMAs that a split, merge or mremap can have touched without a trace, None where that is
        not known (untraced_copies).
        """
        return _Space(self, row, rule).savable(untraced)


def untraced_copies(row: CensusRow, chain_allocs: int, anon_vma_allocs: int, fork_chains: int) -> int:
    """The most VMAs of ``row`` that were split, merged or moved and show no sign of it, from what its process has
    allocated since it was born: objects, and chains cloned by its forks.

    Each chain comes with an anon_vma, but for those that forks clone, and those of VMAs that came to share an anon_vma
    within the mm. Of the latter, the ones that share still can be seen.
    """
    joined = chain_allocs - anon_vma_allocs - fork_chains
    seen = row.own_anon + row.own_file - _roots(row.anon_roots) - _roots(row.file_roots)
    return max(0, joined - seen)


def _roots(shares: int) -> int:
    return (shares + ROOT_SHARE // 2) // ROOT_SHARE


class _Space:
    """One address space under a rule."""

    def __init__(self, size: ObjectBytes, row: CensusRow, rule: Rule) -> None:
        self._size, self._row, self._rule = size, row, rule
        self._anon_roots, self._file_roots = _roots(row.anon_roots), _roots(row.file_roots)
        self._joint_roots = self._anon_roots - (row.own_anon - row.joint_anon)
        # What a VMA loses that does not stay lazy: its chain, and its anon_vma if no pool has it.
        self._promoted = size.chain + (0 if rule.pool else size.anon_vma)

    def savable(self, untraced: int | None) -> Savable:
        high = self._bytes(files_lazy=True, promoted=self._still_shared(True)) + self._of_families()
        value = self._bytes(files_lazy=True, promoted=max(self._forked(True), self._still_shared(True)))
        value += self._of_a_parent(files_lazy=True)
        low = self._low(untraced) + self._of_a_parent(files_lazy=False)
        low, high = max(0, low), max(0, high)
        return Savable(min(low, high), max(low, min(value, high)), high)

    def _bytes(self, files_lazy: bool, promoted: int) -> int:
        """If no VMA but so many were promoted. ``files_lazy`` decides where the rule says "either"."""
        size, row, files = self._size, self._row, self._files(files_lazy)
        total = self._anon_roots * size.anon_vma + row.own_anon * size.chain
        if files != "regular":
            total += self._file_roots * size.anon_vma
        if files == "lazy":
            total += row.own_file * size.chain
        return total - self._pool_bytes(files) - min(promoted, self._lazy(files)) * self._promoted

    def _low(self, untraced: int | None) -> int:
        row, rule = self._row, self._rule
        lazy = self._lazy(self._files(False))
        promoted = self._forked(False) + min(row.mergeable, lazy)
        joined = 0
        if rule.copies != "lazy":
            promoted += lazy if untraced is None else untraced
            joined = row.joint_anon + (row.joint_file if self._files(False) == "lazy" else 0)
        alone = lazy - joined
        return self._bytes(False, min(promoted, alone)) - self._of_joined(joined)

    def _of_joined(self, joined: int) -> int:
        """What VMAs that share an anon_vma lose if all of them are promoted: they keep that one, without a pool."""
        if not joined or self._rule.pool:
            return joined * self._size.chain
        roots = self._joint_roots
        if self._files(False) == "lazy":
            roots += self._file_roots - (self._row.own_file - self._row.joint_file)
        return joined * self._size.chain + roots * self._size.anon_vma

    def _files(self, lazy: bool) -> str:
        return self._rule.files if self._rule.files != "either" else "lazy" if lazy else "regular"

    def _lazy(self, files: str) -> int:
        """VMAs that would be lazy if nothing was promoted."""
        return self._row.own_anon + (self._row.own_file if files == "lazy" else 0)

    def _pool_bytes(self, files: str) -> int:
        row = self._row
        uses_it = row.own_anon or (row.own_file and files != "regular")
        has_it = row.vmas_lazy or row.classic_anon_vmas
        return self._size.anon_vma if self._rule.pool and uses_it and not has_it else 0

    def _still_shared(self, files_lazy: bool) -> int:
        """VMAs that a child shares now: promoted for certain."""
        return self._row.forked_anon + (self._row.forked_file if self._files(files_lazy) == "lazy" else 0)

    def _forked(self, files_lazy: bool) -> int:
        """The most VMAs that a fork can have copied."""
        lazy = self._lazy(self._files(files_lazy))
        copied = self._row.vmas_copied
        return lazy if copied is None else min(copied, lazy)

    def _of_a_parent(self, files_lazy: bool) -> int:
        """The anon_vmas that one ended parent has left: with a pool they would be one."""
        if not self._rule.pool or self._files(files_lazy) == "regular":
            return 0
        return max(0, self._row.parent_orphans - 1) * self._size.anon_vma

    def _of_families(self) -> int:
        """What a design can save of VMAs that forks copied, and of anon_vmas that an ended parent has left."""
        size, row = self._size, self._row
        found = row.orphan_roots * size.anon_vma if self._rule.pool else 0
        if self._rule.children == "either":
            found += row.inherited * (size.anon_vma + size.chain)
        return found
