# SPDX-License-Identifier: MIT
"""Columns of the process tables, by their name in the schema."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lazyobs import text
from lazyobs.errors import UsageError
from lazyobs.model import CENSUS_COLUMNS, COUNTERS, GROWTH_COLUMNS, PROCESS_COLUMNS, Process
from lazyobs.views.local_time import start_time


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


def _grown_heading(name: str) -> str:
    """``CHAINS +``, ``CHAINS/min``."""
    what = name.split("_held", 1)[0].replace("anon_vmas", "av").upper()
    return f"{what} +" if name.endswith("_growth") else f"{what}/min"


def signed(value: float | None) -> str:
    """``+23``, ``-7``, ``0``, ``-`` where it is not known."""
    return text.NULL if value is None else ("+" if value > 0 else "") + text.number(value)


def _columns() -> dict[str, Column]:
    found = [
        Column("pid", "PID", str, "process id"),
        Column("start_time", "START", start_time, "start, unix seconds"),
        Column("user", "USER", text.printable, "user", True),
        Column("comm", "COMMAND", text.printable, "name of the process", True),
        Column("cgroup", "CGROUP", lambda path: text.printable(path or text.NULL), "cgroup v2 path", True),
        Column("ppid", "PPID", text.number, "process id of the parent"),
    ]
    for name, about in CENSUS_COLUMNS:
        write = text.size if name.endswith("_bytes") else text.number
        heading = name.removesuffix("_held").replace("vmas_", "").replace("_bytes", "").replace("savable_", "").upper()
        found.append(Column(name, heading, write, about))
    for counter in COUNTERS:
        write = _nanoseconds if counter.name.endswith("_ns") else text.number
        found.append(Column(counter.name, _short(counter.name), write, counter.help))
        found.append(Column(counter.name + "_rate", _short(counter.name) + "/s", write, counter.help + ", per second"))
    found.append(Column("args", "ARGUMENTS", lambda words: text.printable(words or text.NULL), "command line", True))
    for name, about in GROWTH_COLUMNS:
        found.append(Column(name, _grown_heading(name), signed, about))
    return {column.name: column for column in found}


COLUMNS = _columns()
assert tuple(COLUMNS) == PROCESS_COLUMNS

MOST_OF_ARGS = 60  # letters of a command line in a table of a batch

VIEWS = ("processes", "forks", "rmap", "promotions", "slabs", "probes", "locks")

PROCESS_VIEW = (
    "pid", "user", "vmas", "vmas_anon", "vmas_lazy", "vmas_private", "vmas_shared", "saved_bytes",
    "savable_bytes", "prepares", "prepares_rate", "chain_allocs", "forks", "promotions", "rmap_walks", "comm",
)  # fmt: skip
FORK_VIEW = (
    "pid", "user", "forks", "forks_rate", "copying_forks", "fork_vmas", "fork_chains", "fork_chains_rate",
    "fork_anon_vmas", "fork_anon_unused", "forks_again", "cow_copies", "cow_copies_rate",
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
    return [named(process) if name == "comm" else COLUMNS[name].write(process.get(name)) for name in names]


def name_and_args(comm: str, args: str | None) -> str:
    """The command line where it is known, without the program's directory; behind the name where it does not begin with
    that. Printable."""
    if not args:
        return text.printable(comm)
    program, blank, rest = args.partition(" ")
    program = program.rpartition("/")[2]
    if not program.startswith(comm):
        return text.printable(f"{comm}  {args}")
    return text.printable(program + blank + rest)


def named(process: Process) -> str:
    """Its name and command line, cut to what a table has room for."""
    shown = name_and_args(process.comm, process.args)
    return shown if len(shown) <= MOST_OF_ARGS else shown[: MOST_OF_ARGS - 3] + "..."


def headings(names: Iterable[str]) -> list[str]:
    return [COLUMNS[name].heading for name in names]


def savable(census: Mapping[str, int | None]) -> str:
    """What laziness would save, with its bounds where they are known: ``72.4K (0 to 80.1K)``."""
    low, high = census.get("savable_low_bytes"), census.get("savable_high_bytes")
    bounds = "" if low is None or high is None else f" ({text.size(low)} to {text.size(high)})"
    return text.size(census.get("savable_bytes")) + bounds
