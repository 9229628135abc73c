# SPDX-License-Identifier: MIT
"""Bytes that laziness saves, or would save: objects times the room of an object in its slab.

A VMA that is never shared needs no anon_vma and no chain of its own: savable = private VMAs x (anon_vma
+ anon_vma_chain). A lazy VMA has neither: saved = lazy VMAs x anon_vma_chain, and the anon_vmas mainline
would have made for them (neighbours share one, so there are fewer than VMAs). Where a design keeps one
anon_vma per address space (a pool), that counts against it, and a regular VMA in the pool has its chain
but saves the anon_vma it would have had.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ObjectBytes:
    """Room of an object in its slab, from slabinfo; from BTF (slightly less) if slabinfo is not readable."""

    anon_vma: int
    chain: int

    def savable(self, private_vmas: int) -> int:
        return private_vmas * (self.anon_vma + self.chain)

    def saved(self, lazy_vmas: int, classic_anon_vmas: int, has_pool: bool) -> int:
        """Bytes saved in an address space with that many lazy VMAs and avoided anon_vmas."""
        pool = self.anon_vma if has_pool and classic_anon_vmas else 0
        return lazy_vmas * self.chain + classic_anon_vmas * self.anon_vma - pool
