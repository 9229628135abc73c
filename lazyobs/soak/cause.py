# SPDX-License-Identifier: MIT
"""The cause of a leak: which process, family or cgroup holds what has grown; or none of them, and by what path the
objects were made that no VMA holds."""

from __future__ import annotations

import numpy as np

from lazyobs.soak.series import Series
from lazyobs.soak.verdict import Finding
from lazyobs.views import culprits
from lazyobs.views.blame import blamed, ends

NAME = "who holds the growth"
_NOT_KNOWN = "recorded without what VMAs hold"


def finding(series: Series) -> Finding | None:
    """Judges nothing: growth that VMAs hold is no fault of the kernel. None where it is not counted what they hold."""
    first, last = series.holders
    if not culprits.known(last):
        return None
    found = culprits.culprit(first, last)
    if found is not None:
        numbers = {"estimate": float(found.objects), "unit": "objects"}
        return Finding("leak", NAME, "", f"{blamed(found, series.held_for)}; {ends(found)}", series.name, numbers)
    grown = _grown(series)
    if grown < culprits.LEAST:
        return Finding("leak", NAME, "", "none of the processes: together they hold no more than before", series.name)
    text = f"no single one: {grown:+,} objects, and no process, cgroup or name accounts for half of them"
    return Finding("leak", NAME, "", text, series.name)


def _grown(series: Series) -> int:
    """Objects that all processes hold more."""
    before, after = (
        sum((one.census.get(name) or 0) for one in processes for name in ("chains_held", "anon_vmas_held"))
        for processes in series.holders
    )
    return after - before


def of_lost(series: Series, cache: str, lost: float, begin: float) -> str:
    """Of objects that no VMA holds: who keeps them, and by what path they can have been made."""
    return f"none of the processes: freed memory is kept by the kernel{_by_path(series, cache, lost, begin)}"


def of_growth(series: Series, lost: float) -> str:
    """Of objects that pile up where it is not counted which of them VMAs hold."""
    first, last = series.holders
    if not culprits.known(last):
        return f"who holds them is not known: {_NOT_KNOWN}"
    found = culprits.culprit(first, last)
    if found is not None and 2 * found.objects > lost:
        return blamed(found, series.held_for)
    if 2 * _grown(series) > lost:
        return "held by processes, none of which accounts for half of them"
    return "none of the processes: freed memory is kept by the kernel"


def _by_path(series: Series, cache: str, lost: float, begin: float) -> str:
    """Objects made since by each path, and which paths have made enough of them; "" where it is not counted."""
    names = ("prepares", "fork_chains", "fork_anon_vmas", "chain_allocs", "anon_vma_allocs", "promotions")
    made = {name: _counted(series, name, begin) for name in names}
    if cache == "anon_vma":
        paths = {"prepare": made["prepares"], "fork": made["anon_vma_allocs"] - made["prepares"]}
    else:
        # A child's VMA has a chain to each anon_vma of its parent's, and one to its own, where that is counted.
        own = made["fork_anon_vmas"] if np.isfinite(made["fork_anon_vmas"]) else made["fork_chains"]
        fork, promoted = made["fork_chains"] + own, made["promotions"]
        paths = {"prepare": made["prepares"], "fork": fork}
        if np.isfinite(promoted):
            paths["promotion"] = promoted
        rest = made["chain_allocs"] - sum(paths.values())
        paths["split, merge or mremap"] = rest
    if not all(np.isfinite(list(paths.values()))):
        return ""
    shown = ", ".join(f"{max(count, 0):,.0f} by {path}" for path, count in paths.items())
    able = [path for path, count in paths.items() if count >= lost]
    only = f"; {able[0]} alone made as many as were lost" if len(able) == 1 else ""
    none = "" if able else "; none made as many as were lost"
    return f", of those made since: {shown}{only}{none}"


def _counted(series: Series, name: str, begin: float) -> float:
    """What the counter grew by from shortly before ``begin`` on; NaN where not known."""
    values, when = series.samples.get(name), series.samples["time"]
    if values is None:
        return np.nan
    rows = values[np.isfinite(values) & (when >= begin - series.interval)]
    return float(rows[-1] - rows[0]) if len(rows) > 1 else np.nan
