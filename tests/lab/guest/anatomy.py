# SPDX-License-Identifier: MIT
"""Runs in the guest: the parts of forks, copies on write and first faults under lazyobs, and the kernel's own counts.

Steps of observe.py. Every probe point is attached, also those that are left out otherwise.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest import mock

from driven import Program

from lazyobs.bpf.optional import ALSO
from lazyobs.sources.open import open_live
from lazyobs.sources.source import Source

FORKS = 23
TRIES = 7


def open_all(tier: str) -> Source:
    with mock.patch.dict(os.environ, {ALSO: "all"}):
        return open_live(cap=tier, keep_root=True).source


def fork_parts(source: Source, program: Path, islands: int) -> dict[str, Any]:
    """How many forks the histograms gained, beside the counter; and the parts of the slowest fork of the program."""
    parent = Program(program, islands)
    parent.tell("touch")
    before = source.read()
    for _ in range(FORKS):
        parent.tell("fork", "reap")
    sample = source.read()
    found: dict[str, Any] = {"forks": sample.totals["copying_forks"] - before.totals["copying_forks"]}
    for name in ("fork_seconds", "fork_page_table_seconds"):
        at_first, now = before.histograms[name], sample.histograms[name]
        found[name] = None if at_first is None or now is None else now["count"] - at_first["count"]
    for _ in range(TRIES):  # another process can have a slower fork at the same time
        found["slow"] = [vars(fork) for fork in sample.slow_forks if fork.pid == parent.pid]
        if found["slow"]:
            break
        parent.tell("fork", "reap")
        sample = source.read()
    parent.end()
    return found


def anatomy(tier: str, programs: Path, islands: int) -> dict[str, Any]:
    source = open_all(tier)
    found = {"tiers": dict(source.tiers), "forks": fork_parts(source, programs / "islands", islands)}
    source.close()
    return found
