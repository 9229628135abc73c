# SPDX-License-Identifier: MIT
"""Columns of the process tables, by their name in the schema."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lazyobs import text
from lazyobs.errors import UsageError
from lazyobs.model import CENSUS_COLUMNS, COUNTERS, PROCESS_COLUMNS, Process


@dataclass(frozen=True)
class Column:
    """A column's heading and format; ``is_text`` columns sort from A to Z, numbers from the largest."""

    name: str
    heading: str
    write: Callable[[Any], str]
    help: str
    is_text: bool = False


def _nanoseconds(value: float | None) -> str:
    return text.seconds(None if value is None else value / 1e9)


def _short(name: str) -> str:
    return name.removesuffix("_ns").replace("anon_vma", "av").replace("_", " ").upper()


def _columns() -> dict[str, Column]:
    found = [
        Column("pid", "PID", str, "process id"),
        Column("start_time", "START", text.number, "start, unix seconds"),
        Column("user", "USER", text.printable, "user", True),
        Column("comm", "COMMAND", text.printable, "name of the process", True),
        Column("cgroup", "CGROUP", lambda path: text.printable(path or text.NULL), "cgroup v2 path", True),
        Column("ppid", "PPID", text.number, "process id of the parent"),
    ]
    for name, about in CENSUS_COLUMNS:
        write = text.size if name.endswith("_bytes") else text.number
        heading = name.replace("vmas_", "").replace("_bytes", "").replace("savable_", "").upper()
        found.append(Column(name, heading, write, about))
    for counter in COUNTERS:
        write = _nanoseconds if counter.name.endswith("_ns") else text.number
        found.append(Column(counter.name, _short(counter.name), write, counter.help))
        found.append(Column(counter.name + "_rate", _short(counter.name) + "/s", write, counter.help + ", per second"))
    return {column.name: column for column in found}


COLUMNS = _columns()
assert tuple(COLUMNS) == PROCESS_COLUMNS

VIEWS = ("processes", "forks", "rmap", "promotions", "slabs", "probes", "locks")

PROCESS_VIEW = (
    "pid", "user", "vmas", "vmas_anon", "vmas_lazy", "vmas_private", "vmas_shared", "saved_bytes",
    "savable_bytes", "prepares", "prepares_rate", "chain_allocs", "forks", "promotions", "rmap_walks", "comm",
)  # fmt: skip
FORK_VIEW = (
    "pid", "user", "forks", "forks_rate", "copying_forks", "fork_vmas", "fork_chains", "fork_chains_rate", "forks_again",
    "promotions", "promotions_rate", "comm",
)  # fmt: skip
LOCK_VIEW = (
    "pid", "user", "lock_waits", "lock_waits_rate", "lock_write_waits", "lock_waited_ns", "lock_waited_ns_rate", "comm",
)  # fmt: skip
CENSUS_VIEW = (
    "pid", "user", "vmas", "vmas_anon", "vmas_lazy", "vmas_private", "vmas_shared", "saved_bytes",
    "savable_bytes", "savable_low_bytes", "savable_high_bytes", "comm",
)  # fmt: skip


def with_sorted(names: tuple[str, ...], sort: str) -> tuple[str, ...]:
    """The columns of a view, with the one it is sorted by before the last, which is the name of the process."""
    return names if sort in names else (*names[:-1], sort, names[-1])


def column(name: str) -> Column:
    """The column with that name or heading. UsageError, which lists the columns, if there is no such column."""
    found = COLUMNS.get(name) or next((one for one in COLUMNS.values() if one.heading.upper() == name.upper()), None)
    if found is None:
        near = difflib.get_close_matches(name.lower(), COLUMNS, 1)
        why = "there is none of that name" + (f" (did you mean {near[0]}?)" if near else "")
        raise UsageError(f"column {text.printable(name)!r}", why, f"use one of {', '.join(COLUMNS)}")
    return found


def sort(processes: Iterable[Process], name: str) -> list[Process]:
    """Sorts by one column: text ascending, numbers descending, unknown values last; ties by pid."""
    by = column(name)
    known = [process for process in processes if process.get(name) is not None]
    unknown = [process for process in processes if process.get(name) is None]
    known.sort(key=lambda process: process.pid)
    known.sort(key=lambda process: process.get(name), reverse=not by.is_text and name != "pid")
    return known + sorted(unknown, key=lambda process: process.pid)


def cells(process: Process, names: Iterable[str]) -> list[str]:
    return [COLUMNS[name].write(process.get(name)) for name in names]


def headings(names: Iterable[str]) -> list[str]:
    return [COLUMNS[name].heading for name in names]


def savable(census: Mapping[str, int | None]) -> str:
    """What laziness would save, with its bounds where they are known: ``72.4K (0 to 80.1K)``."""
    low, high = census.get("savable_low_bytes"), census.get("savable_high_bytes")
    bounds = "" if low is None or high is None else f" ({text.size(low)} to {text.size(high)})"
    return text.size(census.get("savable_bytes")) + bounds
