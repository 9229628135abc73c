# SPDX-License-Identifier: MIT
"""Rows of the process table: sorted, in a tree or by cgroup."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from lazyobs import text
from lazyobs.model import CENSUS_NAMES, COUNTER_NAMES, GROWING, GROWTH_NAMES, Process
from lazyobs.sources.units import unit
from lazyobs.views import columns

FLAT, TREE, CGROUP = "none", "tree", "cgroup"
GROUPINGS = (FLAT, TREE, CGROUP)


class Row(NamedTuple):
    """A process, or a cgroup with the sums of its processes. ``prefix`` draws its branch of the tree.

    ``key`` identifies the row from one sample to the next.
    """

    key: Hashable
    get: Callable[[str], Any]
    process: Process | None = None
    prefix: str = ""
    label: str | None = None  # replaces the process name


def process_row(process: Process, prefix: str = "") -> Row:
    return Row((process.pid, process.start_time), process.get, process, prefix)


def flat(processes: Iterable[Process], sort: str, reverse: bool) -> list[Row]:
    return [process_row(process) for process in _sorted(processes, sort, reverse)]


def _sorted(processes: Iterable[Process], sort: str, reverse: bool) -> list[Process]:
    """As columns.sort. Unknown values come last in both directions."""
    in_order = columns.sort(processes, sort)
    if not reverse:
        return in_order
    known = [process for process in in_order if process.get(sort) is not None]
    return known[::-1] + in_order[len(known) :]


def tree(processes: Iterable[Process], sort: str, reverse: bool, glyphs: tuple[str, str, str]) -> list[Row]:
    """Children below their parents, siblings sorted. ``glyphs``: branch, last branch, passing line."""
    in_order = _sorted(processes, sort, reverse)
    shown = {process.pid for process in in_order}
    children: dict[int, list[Process]] = {}
    roots = []
    for process in in_order:
        if process.ppid is not None and process.ppid in shown and process.ppid != process.pid:
            children.setdefault(process.ppid, []).append(process)
        else:
            roots.append(process)
    branch, last, pipe = glyphs
    rows: list[Row] = []
    # Not recursive: a process tree can be deeper than Python's stack. A loop of parents, which a PID reused during the
    # census can make, is not reachable from the roots: it comes at the end.
    stack = [(process, "", "") for process in reversed(roots)]
    seen: set[int] = set()
    while True:
        while stack:
            process, prefix, indent = stack.pop()
            if process.pid in seen:
                continue
            seen.add(process.pid)
            rows.append(process_row(process, prefix))
            offspring = children.get(process.pid, [])
            for index in range(len(offspring) - 1, -1, -1):
                is_last = index == len(offspring) - 1
                stack.append(
                    (offspring[index], indent + (last if is_last else branch), indent + (" " * len(pipe) if is_last else pipe))
                )  # fmt: skip
        left = next((process for process in in_order if process.pid not in seen), None)
        if left is None:
            return rows
        stack.append((left, "", ""))


def by_cgroup(
    processes: Iterable[Process],
    sort: str,
    reverse: bool,
    folded: frozenset[str],
    glyphs: tuple[str, str],
    ended: Mapping[str, Mapping[str, int]] | None = None,
) -> list[Row]:
    """Cgroups, each followed by its processes unless it is in ``folded``. ``glyphs``: open, folded. ``ended``: as
    Sample.ended_growth; with it a cgroup has grown by what its processes hold more, and those that ended held."""
    members: dict[str, list[Process]] = {}
    for process in processes:
        members.setdefault(process.cgroup or "", []).append(process)
    groups = [
        Process(0, 0.0, "", path, path, *_sums(inside), growth=_growth(inside, (ended or {}).get(path, {})))
        for path, inside in members.items()
    ]
    rows: list[Row] = []
    for group in _sorted_groups(groups, sort, reverse):
        path = group.cgroup or ""
        rows.append(_group_row(group, members[path], glyphs[path in folded]))
        if path not in folded:
            rows += [process_row(process, "  ") for process in _sorted(members[path], sort, reverse)]
    return rows


def _sorted_groups(groups: list[Process], sort: str, reverse: bool) -> list[Process]:
    by = sort if sort in _SUMMED else "comm"
    groups.sort(key=lambda group: group.comm)
    return _sorted(groups, by, reverse) if by in _SUMMED else groups


def _sums(inside: Sequence[Process]) -> tuple[dict[str, int | None], dict[str, int | None], dict[str, float | None]]:
    """Sums of the known values; None if none is known."""

    def total(values: Iterable[Any]) -> Any:
        known = [value for value in values if value is not None]
        return sum(known) if known else None

    return (
        {name: total(process.census.get(name) for process in inside) for name in CENSUS_NAMES},
        {name: total(process.counts.get(name) for process in inside) for name in COUNTER_NAMES},
        {name: total(process.rates.get(name) for process in inside) for name in COUNTER_NAMES},
    )


def _growth(inside: Sequence[Process], ended: Mapping[str, int]) -> dict[str, float | None]:
    """Of a cgroup; its rate is that of its processes together, where none that was there at first has ended."""
    found: dict[str, float | None] = {}
    for name in GROWING:
        for column in (f"{name}_growth", f"{name}_per_minute"):
            known = [value for process in inside if (value := process.growth.get(column)) is not None]
            found[column] = sum(known) if known else None
        if (lost := ended.get(name)) and (grown := found[f"{name}_growth"]) is not None:
            found[f"{name}_growth"], found[f"{name}_per_minute"] = grown + lost, None
    return found


_SUMMED = frozenset((*CENSUS_NAMES, *GROWTH_NAMES, *COUNTER_NAMES, *(name + "_rate" for name in COUNTER_NAMES)))


def _group_row(group: Process, inside: Sequence[Process], glyph: str) -> Row:
    def get(name: str) -> Any:
        return group.get(name) if name in _SUMMED else len(inside) if name == "pid" else None

    path = _titled(group.comm)
    return Row(("cgroup", group.comm), get, None, "", f"{glyph} {path}")


def _titled(path: str) -> str:
    """A cgroup's title: the name of its unit or container before the path, where that says more."""
    shown, name = text.printable(path), text.printable(unit(path))
    return f"{name}  {shown}" if name != shown else shown or "(cgroup unknown)"


def group_path(row: Row) -> str | None:
    """The cgroup of the row; None for the row of a process."""
    return row.key[1] if row.process is None and isinstance(row.key, tuple) else None
