# SPDX-License-Identifier: MIT
"""What the recorded command has caused, in a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lazyobs.model import Sample
from lazyobs.text import plural


def in_words(sample: Sample) -> str:
    """ "23 prepares; ...", or why that is not known."""
    if sample.command is None:
        reasons = sample.null_reasons
        return "not counted apart: " + (reasons.get("command") or reasons.get("totals") or "counting needs BPF")
    return "; ".join(_parts(sample.command)) or "none of its counts is known at this tier"


def _parts(counts: dict[str, Any]) -> Iterator[str]:
    for name, one, many in (
        ("prepares", "prepare", "prepares"),
        ("lazy_prepares", "lazy VMA", "lazy VMAs"),
        ("promotions", "promotion", "promotions"),
        ("anon_vma_allocs", "anon_vma", "anon_vmas"),
        ("chain_allocs", "chain allocated", "chains allocated"),
    ):
        if (count := counts[name]) is not None:
            yield f"{count} {plural(count, one, many)}"
    forks, chains = counts["forks"], counts["fork_chains"]
    if forks:
        cloned = "" if chains is None else f" that cloned {chains} {plural(chains, 'chain')}"
        yield f"{forks} {plural(forks, 'fork')}{cloned}"
    if waits := counts["lock_waits"]:
        yield f"{waits} {plural(waits, 'wait')} for locks"
