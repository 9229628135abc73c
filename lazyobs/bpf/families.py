# SPDX-License-Identifier: MIT
"""Reading the families that have waited for the lock of their root anon_vma (probes/family.h)."""

from __future__ import annotations

from typing import Any, NamedTuple

from lazyobs.bpf import abi
from lazyobs.bpf.layouts import FAMILY, FAMILY_STATE
from lazyobs.bpf.maps import BatchReader
from lazyobs.model import LOCK_PATHS

_STATE = FAMILY_STATE.struct()
_PATHS_AT = [field.name for field in FAMILY.fields].index("by_path")


class FamilyRow(NamedTuple):
    """One entry. What the census gives is of the pass ``last_pass``; layouts.py explains the columns."""

    number: int
    since: int
    waits: int
    write_waits: int
    waited_ns: int
    longest_ns: int
    by_path: tuple[int, ...]
    last_pass: int
    owner_start: int
    owner: int
    owns: int
    last: int
    processes: int
    vmas: int
    chains: int
    comm: bytes

    @classmethod
    def of(cls, values: tuple[Any, ...]) -> FamilyRow:
        end = _PATHS_AT + len(LOCK_PATHS)
        return cls._make((*values[:_PATHS_AT], values[_PATHS_AT:end], *values[end:]))


class FamilyMaps:
    """Reader of the maps ``families`` and ``family_states``."""

    def __init__(self, families_fd: int, states_fd: int) -> None:
        self._reader, self._states_fd = BatchReader(families_fd, "Q", FAMILY, 256), states_fd

    def read(self) -> tuple[list[FamilyRow], int]:
        """(the families, passes of the census so far). The roots' addresses stay here: nothing shows them."""
        rows = [FamilyRow.of(values) for _, values in self._reader.read()]
        _, passes = _STATE.unpack(abi.map_lookup(self._states_fd, bytes(4), _STATE.size))
        return rows, passes
