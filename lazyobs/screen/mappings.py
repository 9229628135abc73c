# SPDX-License-Identifier: MIT
"""The VMAs of a process as rows of a table: one by one or by the name of what they map; and what they hold more than when
they were first seen."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lazyobs import text
from lazyobs.bpf.census import VmaRow
from lazyobs.model import VMA_STATES
from lazyobs.views.columns import Column, signed

NAMELESS = "anonymous"
_PLAIN = VMA_STATES[0].name
_LEAST_MINUTES = 1 / 60  # a second: a shorter time gives no rate
# The characters of /proc/PID/maps for include/linux/mm.h: VM_READ, VM_WRITE, VM_EXEC, VM_SHARED
_PERMISSIONS = ((1, "r"), (2, "w"), (4, "x"))
_VM_SHARED = 8


@dataclass(frozen=True)
class Mapped:
    """A VMA, or all of one name. ``key`` identifies the row from one sample to the next; what several VMAs have not in
    common is None."""

    key: Hashable
    name: str
    vmas: int
    anonymous: int
    bytes: int
    chains: int | None
    anon_vmas: int | None
    start: int | None = None
    end: int | None = None
    flags: str | None = None
    state: str | None = None
    chains_growth: int | None = None
    chains_per_minute: float | None = None


def _hex(value: int | None) -> str:
    return text.NULL if value is None else f"{value:x}"


COLUMNS: Mapping[str, Column] = {
    column.name: column
    for column in (
        Column("start", "START", _hex, "first address", is_text=True),
        Column("end", "END", _hex, "address behind the last", is_text=True),
        Column("vmas", "VMAS", text.number, "VMAs of that name"),
        Column("anonymous", "ANON", text.number, "those that hold anonymous pages"),
        Column("bytes", "SIZE", text.size, "address space"),
        Column("flags", "PERM", text.printable, "access, as in /proc/PID/maps", is_text=True),
        Column("state", "STATE", text.printable, "plain, lazy, private or shared", is_text=True),
        Column("chains", "CHAINS", text.number, "anon_vma_chains on the lists of the VMAs"),
        Column("anon_vmas", "AV", text.number, "anon_vmas, each counted at one of its VMAs"),
        Column("chains_growth", "CHAINS +", signed, "chains more than when this page was opened"),
        Column("chains_per_minute", "CHAINS/min", signed, "the same for each minute"),
        Column("name", "MAPPING", text.printable, "file, heap, stack, or the name that the program gave", is_text=True),
    )
}  # fmt: skip
BY_NAME = ("vmas", "anonymous", "bytes", "chains", "anon_vmas", "chains_growth", "chains_per_minute", "name")
EACH = ("start", "end", "bytes", "flags", "state", "chains", "anon_vmas", "chains_growth", "chains_per_minute", "name")


def each(vmas: Iterable[VmaRow]) -> list[Mapped]:
    return [
        Mapped(
            vma.start, vma.name or NAMELESS, 1, int(vma.state != _PLAIN), vma.end - vma.start, vma.chains,
            vma.anon_vmas, vma.start, vma.end, permissions(vma.flags), vma.state,
        )
        for vma in vmas
    ]  # fmt: skip


def by_name(vmas: Iterable[VmaRow]) -> list[Mapped]:
    """One row a name, each with the sums of its VMAs."""
    inside: dict[str, list[Mapped]] = {}
    for one in each(vmas):
        inside.setdefault(one.name, []).append(one)
    return [
        Mapped(
            name, name, len(rows), sum(row.anonymous for row in rows), sum(row.bytes for row in rows),
            _sum(row.chains for row in rows), _sum(row.anon_vmas for row in rows),
        )
        for name, rows in inside.items()
    ]  # fmt: skip


def _sum(values: Iterable[int | None]) -> int | None:
    """None if any is unknown."""
    found = list(values)
    return None if None in found else sum(value for value in found if value is not None)


def permissions(flags: int) -> str:
    """As in /proc/PID/maps."""
    access = "".join(character if flags & bit else "-" for bit, character in _PERMISSIONS)
    return access + ("s" if flags & _VM_SHARED else "p")


class Growth:
    """What VMAs hold more than when the process was first looked at."""

    def __init__(self) -> None:
        self._process: Hashable = None
        self.since = 0.0  # unix seconds
        self._first: dict[Hashable, int | None] = {}

    def note(self, process: Hashable, now: float, vmas: Sequence[VmaRow]) -> None:
        """``process`` is an identity. Of another process than before, what it holds now is what growth is measured from."""
        if process == self._process:
            return
        self._process, self.since = process, now
        self._first = {row.key: row.chains for row in (*each(vmas), *by_name(vmas))}

    def added(self, rows: Iterable[Mapped], now: float) -> list[Mapped]:
        """The rows with their growth; one that is new has grown by all that it holds."""
        minutes = (now - self.since) / 60
        return [self._grown(row, minutes) for row in rows]

    def _grown(self, row: Mapped, minutes: float) -> Mapped:
        then = self._first.get(row.key, 0)
        if row.chains is None or then is None or minutes < 0:
            return row
        grown = row.chains - then
        rate = None if minutes < _LEAST_MINUTES else round(grown / minutes, 1) if grown else 0
        return replace(row, chains_growth=grown, chains_per_minute=rate)


def in_order(rows: Iterable[Mapped], sort: str, reverse: bool) -> list[Mapped]:
    """Text and addresses ascending, numbers from the largest, ties by address or name; unknown values come last."""

    def value(row: Mapped) -> Any:
        return getattr(row, sort)

    ties = sorted(rows, key=lambda row: (row.start or 0, row.name))
    known = [row for row in ties if value(row) is not None]
    known.sort(key=value, reverse=COLUMNS[sort].is_text == reverse)
    return known + [row for row in ties if value(row) is None]
