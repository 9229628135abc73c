# SPDX-License-Identifier: MIT
"""A family of processes as the cells of a row, for the tables of top and for its screen."""

from __future__ import annotations

from lazyobs import text
from lazyobs.model import Family


def cells(family: Family) -> list[str]:
    """Number, pid, processes, VMAs, chains, waits, those for writing, their time, the longest, and the name."""
    counts = (
        family.number, family.pid, family.processes, family.vmas, family.chains, family.waits, family.write_waits,
    )  # fmt: skip
    times = (family.waited_ns, family.longest_ns)
    name = text.printable(family.comm or text.NULL)
    return [*map(text.number, counts), *(text.seconds(ns / 1e9) for ns in times), name]
