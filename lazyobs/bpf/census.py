# SPDX-License-Identifier: MIT
"""Decoding what the census iterators write (probes/census.c, probes/cgroups.c)."""

from __future__ import annotations

from typing import NamedTuple

from lazyobs.bpf import vma_names
from lazyobs.bpf.layouts import CENSUS_ROW, CGROUP_ROW, FORK_COPIES_UNKNOWN, VMA_ROW
from lazyobs.model import VMA_STATE_NAMES
from lazyobs.text import c_string

_ROW, _VMA, _CGROUP = CENSUS_ROW.struct(), VMA_ROW.struct(), CGROUP_ROW.struct()


class CensusRow(NamedTuple):
    """One process. ``mm`` identifies the address space: vfork and CLONE_VM processes share one.

    The columns that the schema has not are explained by bpf/layouts.py. ``classic_anon_vmas``: what mainline would have made for the VMAs that a lazy design gave none.
    """

    tgid: int
    uid: int
    start_boottime: int
    mm: int
    cgroup: int
    anon_roots: int
    file_roots: int
    vmas: int
    vmas_anon: int
    vmas_lazy: int
    vmas_private: int
    vmas_shared: int
    classic_anon_vmas: int
    chains_held: int
    anon_vmas_held: int
    ppid: int
    chains_cut: int
    own_anon: int
    own_file: int
    joint_anon: int
    joint_file: int
    forked_anon: int
    forked_file: int
    mergeable: int
    inherited: int
    orphan_roots: int
    parent_orphans: int
    unused_for_alignment: int
    fork_copies: int
    comm: bytes

    @property
    def vmas_copied(self) -> int | None:
        """None where the kernel does not count them."""
        return None if self.fork_copies == FORK_COPIES_UNKNOWN else self.fork_copies


assert CensusRow._fields == tuple(field.name for field in CENSUS_ROW.fields)


class VmaRow(NamedTuple):
    """One VMA; ``state`` is one of VMA_STATE_NAMES, ``anon_vma`` the kernel's word, tag bits included.

    ``chains`` on its list, and ``anon_vmas`` that are counted at it: None where the list was too long to be read.
    ``name``: as vma_names.name() gives it.
    """

    start: int
    end: int
    flags: int
    anon_vma: int
    tgid: int
    state: str
    chains: int | None
    anon_vmas: int | None
    name: str


class CensusRows:
    """Reader of the iterator ``census``. A row that is as it was in the pass before is the same object, so that those
    who keep rows see without a comparison which have changed: most processes are idle."""

    def __init__(self) -> None:
        self._before: dict[bytes, CensusRow] = {}

    def read(self, raw: bytes) -> list[CensusRow]:
        """Rows of one pass, each process once, even when a dead leader left many threads."""
        found: dict[tuple[int, int], tuple[bytes, CensusRow]] = {}
        for at in range(0, len(raw), _ROW.size):
            part = raw[at : at + _ROW.size]
            row = self._before.get(part) or CensusRow._make(_ROW.unpack(part))
            found.setdefault((row.tgid, row.start_boottime), (part, row))
        self._before = dict(found.values())
        return [row for _, row in found.values()]


def vmas(raw: bytes) -> list[VmaRow]:
    """Rows of the iterator ``census_vmas``, in address order."""
    found = {}
    for start, end, flags, anon_vma, tgid, state, chains, anon_vmas, cut, of, name in _VMA.iter_unpack(raw):
        found[start] = VmaRow(
            start,
            end,
            flags,
            anon_vma,
            tgid,
            VMA_STATE_NAMES[state],
            None if cut else chains,
            None if cut else anon_vmas,
            vma_names.name(of, name),
        )
    return [found[start] for start in sorted(found)]


def cgroups(raw: bytes) -> dict[int, tuple[int, str]]:
    """Rows of the iterator ``cgroup_paths``: {id of a cgroup: (id of its parent, its name)}; the root's parent is 0."""
    return {identity: (parent, c_string(name)) for identity, parent, name in _CGROUP.iter_unpack(raw)}
