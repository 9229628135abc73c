# SPDX-License-Identifier: MIT
"""Our names in the words of the kernel's enumerators: VMA_OP_REMAP is mremap, ANON_VMA_LAZY_FORK is fork."""

from __future__ import annotations

from collections.abc import Collection

_OTHER_WORDS = {"remap": "mremap"}  # in the kernel's enum vma_operation


def meant(enumerator: str, names: Collection[str]) -> str | None:
    """The last of its words that is one of ``names``; None where none is."""
    words = [_OTHER_WORDS.get(word, word) for word in enumerator.lower().split("_")]
    return next((word for word in reversed(words) if word in names), None)
