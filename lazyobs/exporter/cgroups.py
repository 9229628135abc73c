# SPDX-License-Identifier: MIT
"""Processes by cgroup in a bounded number of rows: paths cut to a depth, the largest cgroups, and one row for the rest.

These are gauges from the census alone. Counters by cgroup would have to fall when a process exits or when a
cgroup leaves the rows, and Prometheus reads a counter that falls as a restart.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass, field

from lazyobs import text
from lazyobs.model import CENSUS_NAMES, Process

OTHER = "other"  # cannot be a path: those begin with a slash
# A cgroup keeps its row until another is half as large again: each cgroup that gets a row starts new series.
_STAYS = 1.5


@dataclass
class CgroupRow:
    """``census``: CENSUS_NAMES summed over the processes; None where no process has the number.

    Unlike the sample's census, processes that share an address space (vfork, CLONE_VM) each count it.
    """

    path: str
    processes: int = 0
    census: dict[str, int | None] = field(default_factory=lambda: dict.fromkeys(CENSUS_NAMES))

    def add(self, census: dict[str, int | None], processes: int = 1) -> None:
        self.processes += processes
        for name, value in census.items():
            if value is not None:
                self.census[name] = (self.census[name] or 0) + value

    @property
    def weight(self) -> tuple[int, int]:
        """Bytes saved and savable; VMAs with anonymous memory, where those are not known."""
        census = self.census
        return (census["saved_bytes"] or 0) + (census["savable_bytes"] or 0), census["vmas_anon"] or 0


@dataclass
class Folded:
    """``rows``: the largest, then OTHER (always present). ``found``: cgroups at that depth; ``hidden``: in OTHER."""

    rows: list[CgroupRow]
    found: int
    hidden: int


class CgroupFold:
    """Folds to ``depth`` path components and keeps ``top`` rows."""

    def __init__(self, depth: int = 2, top: int = 10) -> None:
        self._depth, self._top = depth, top
        self._kept: set[str] = set()
        self._folded: dict[str, str] = {}
        self._before: dict[str, tuple[list[Process], CgroupRow]] = {}

    def path(self, cgroup: str) -> str:
        """``/system.slice/a.service/b`` at depth 2: ``/system.slice/a.service``.

        The steps up of a path relative to a cgroup namespace do not count: else all that is beside it would be one.
        """
        parts = cgroup.split("/")[1:]
        up = next((index for index, part in enumerate(parts) if part != ".."), len(parts))
        return text.printable("/" + "/".join(part for part in parts[: up + self._depth] if part))

    def fold(self, processes: Iterable[Process]) -> Folded:
        members: dict[str, list[Process]] = {}
        other = CgroupRow(OTHER, census=dict.fromkeys(CENSUS_NAMES))
        folded, self._folded = self._folded, {}  # cut paths are kept from one reading to the next
        for process in processes:
            if process.cgroup is None:
                other.add(process.census)
                continue
            path = folded.get(process.cgroup)
            if path is None:
                path = self.path(process.cgroup)
            self._folded[process.cgroup] = path
            members.setdefault(path, []).append(process)
        rows = {path: self._row(path, of_path) for path, of_path in members.items()}
        self._before = {path: (of_path, rows[path]) for path, of_path in members.items()}
        ranked = sorted(rows.values(), key=self._rank, reverse=True)
        kept, hidden = ranked[: self._top], ranked[self._top :]
        self._kept = {row.path for row in kept}
        for row in hidden:
            other.add(row.census, row.processes)
        for name, value in other.census.items():
            if value is None and any(row.census[name] is not None for row in ranked):
                other.census[name] = 0  # a known number, of no process
        return Folded([*sorted(kept, key=lambda row: row.path), other], len(rows), len(hidden))

    def _row(self, path: str, processes: list[Process]) -> CgroupRow:
        """A process that has not changed is the same object as in the reading before."""
        before, row = self._before.get(path, ([], CgroupRow(path)))
        if len(before) == len(processes) and all(map(operator.is_, before, processes)):
            return row
        census: dict[str, int | None] = {}
        for name, numbers in zip(CENSUS_NAMES, zip(*(map(process.census.get, CENSUS_NAMES) for process in processes))):
            known = [number for number in numbers if number is not None]
            census[name] = sum(known) if known else None
        return CgroupRow(path, len(processes), census)

    def _rank(self, row: CgroupRow) -> tuple[float, float, str]:
        stays = _STAYS if row.path in self._kept else 1.0
        size, vmas = row.weight
        return size * stays, vmas * stays, row.path
