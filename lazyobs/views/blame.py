# SPDX-License-Identifier: MIT
"""A culprit in one sentence: who, how much, of what part, and by what path."""

from __future__ import annotations

from lazyobs.sources.units import unit
from lazyobs.text import number, plural, printable
from lazyobs.views.culprits import CGROUP, FAMILY, FORK, PREPARE, PROCESS, PROMOTION, SPLIT, Culprit

_MANY_CHAINS = 3  # chains per anonymous VMA: each came through as many generations of forks
_PATHS = {
    PREPARE: "new anonymous VMAs",
    FORK: "forks",
    SPLIT: "splits, merges or moves of VMAs",
    PROMOTION: "promotions of VMAs that were lazy",
}


def blamed(found: Culprit, seconds: float) -> str:
    """``python (pid 1234) holds 5,003 chains and 5,003 anon_vmas more, 97% of the growth: by new anonymous VMAs``.

    ``seconds``: in which it grew."""
    rate = f" ({number(60 * found.objects / seconds)}/min)" if seconds > 0 else ""
    path = f": by {_PATHS[found.path]}" if found.path else ""
    more = f"{_more(found.chains)} chains and {_more(found.anon_vmas)} anon_vmas"
    return f"{who(found)}: {more}{rate}, {found.share:.0%} of the growth{path}{_pedigree(found)}"


def ends(found: Culprit) -> str:
    """What the culprit held first and last."""
    held = (("chains", found.chains_held, found.chains), ("anon_vmas", found.anon_vmas_held, found.anon_vmas))
    return " and ".join(f"{now - grown:,} to {now:,} {name}" for name, now, grown in held)


def who(found: Culprit) -> str:
    """The culprit's name, with what it takes to find it."""
    name, many = printable(found.name), plural(found.processes, "process", "processes")
    if found.kind == PROCESS:
        where = f", {printable(unit(found.cgroup))}" if found.cgroup not in (None, "/") else ""
        return f"{name} (pid {found.pid}{where})"
    begun = f", {found.begun} of them begun since" if found.begun else ""
    if found.kind == FAMILY:
        return f"{name} (pid {found.pid}) and its descendants ({found.processes} {many}{begun})"
    if found.kind == CGROUP:
        return f"cgroup {printable(unit(found.name))} ({found.processes} {many}{begun})"
    return f"{found.processes} {many} named {name}{begun}"


def _more(count: int) -> str:
    return f"{count:+,}"


def _pedigree(found: Culprit) -> str:
    """Each generation of forks adds a chain to a VMA, for as long as the child lives."""
    if found.path != FORK:
        return ""
    if found.chains_per_vma is not None and found.chains_per_vma >= _MANY_CHAINS:
        return f" of children that have not ended, {found.chains_per_vma:.1f} chains a VMA"
    return " of children that have not ended"
