# SPDX-License-Identifier: MIT
"""Objects by cache: what was allocated and freed since attach, and what VMAs hold now."""

from __future__ import annotations

import os
from typing import NamedTuple

from lazyobs.unix import namespaces

CACHES = ("anon_vma", "anon_vma_chain")  # every object of these belongs to a VMA
_INITIAL = f"pid:[{namespaces.INITIAL['pid']}]"


class Flow(NamedTuple):
    """Objects allocated and freed since attach, by call site."""

    allocs: int
    frees: int

    @property
    def net(self) -> int:
        return self.allocs - self.frees


class Account(NamedTuple):
    """``misses``: runs of the counting probes that the kernel skipped."""

    anon_vma: Flow
    anon_vma_chain: Flow
    misses: int = 0

    def of(self, cache: str) -> Flow:
        return self.anon_vma if cache == "anon_vma" else self.anon_vma_chain


class Held(NamedTuple):
    """Objects that the VMAs of all address spaces hold. ``cut``: VMAs with more chains than the iterator counts;
    ``everyone``: it visited process 1, and so hides no task from BPF."""

    anon_vma: int
    anon_vma_chain: int
    cut: int
    everyone: bool

    def of(self, cache: str) -> int:
        return self.anon_vma if cache == "anon_vma" else self.anon_vma_chain


def why_not_whole(link: str = "/proc/self/ns/pid") -> str:
    """Why an iterator of this process does not visit every process of the machine; "" where it does.

    It visits the tasks of the reader's pid namespace (bpf_iter_attach_task() and task_seq_get_next() in
    kernel/bpf/task_iter.c), while slabinfo and the probes count those of all.
    """
    try:
        found = os.readlink(link)
    except OSError as error:
        return f"{link}: {error.strerror}"
    return "" if found == _INITIAL else "VMAs outside of this pid namespace are not visited"
