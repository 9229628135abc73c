# SPDX-License-Identifier: MIT
"""Probe points that are attached only where they are asked for, and what each costs that not everyone wants to pay."""

from __future__ import annotations

import os

from lazyobs.errors import UsageError

ALSO = "LAZYOBS_ALSO"  # the points to attach: names with commas between, or "all"
COSTS = {
    "page_tables": "two programs run for each VMA of a fork",
    "holds": "two programs run for each VMA that a fork copies or an unmapping ends",
    "cow": "two programs run for each write to a page that is mapped read-only",
    "first_fault": "two programs run for each fault of anonymous memory",
}


def asked_for() -> tuple[str, ...]:
    """Those that ALSO names. UsageError for another name."""
    return named(os.environ.get(ALSO, ""), f"${ALSO}")


def ask_for(name: str) -> None:
    """That point too, from now on in this process."""
    os.environ[ALSO] = ",".join({*asked_for(), name})


def named(names: str, where: str) -> tuple[str, ...]:
    """Those of ``names``. UsageError, which says ``where`` they were given, for another name."""
    wanted = {name for name in names.split(",") if name}
    for name in sorted(wanted - {"all", *COSTS}):
        raise UsageError(f"{where} {name!r}", "no probe point that is left out", f"use {', '.join(COSTS)} or all")
    return tuple(name for name in COSTS if name in wanted or "all" in wanted)
