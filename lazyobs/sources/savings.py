# SPDX-License-Identifier: MIT
"""Bytes that laziness saves, or would save: objects times the room one takes in its slab.

A VMA that is never shared needs no anon_vma and no chain of its own: savable = private VMAs x (anon_vma
+ anon_vma_chain). A lazy VMA has neither: saved = lazy VMAs x the same, less what the design keeps per
address space for all its lazy VMAs (profile: shared_per_mm).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ObjectBytes:
    """Room of one object in its slab, from slabinfo; from BTF (a little less) where that is closed."""

    anon_vma: int
    chain: int

    def savable(self, private_vmas: int) -> int:
        return private_vmas * (self.anon_vma + self.chain)

    def saved(self, lazy_vmas: int, shared_per_mm: int) -> int:
        if not lazy_vmas:
            return 0
        return lazy_vmas * (self.anon_vma + self.chain) - shared_per_mm * self.anon_vma
