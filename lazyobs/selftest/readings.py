# SPDX-License-Identifier: MIT
"""Events in the processes of a scenario between two samples. None: this tier cannot measure the number."""

from __future__ import annotations

from lazyobs.model import COUNTERS, Process, Sample
from lazyobs.selftest.expectations import CENSUS, EVENTS, WALKS

Observed = dict[str, int | None]
# Allocations minus frees: a thread that loses a race frees what it allocated.
_KEPT = (
    ("anon_vmas_kept", "anon_vma_allocs", "anon_vma_frees"),
    ("chains_kept", "chain_allocs", "chain_frees"),
)


class Span:
    """The events of the processes in ``pids`` (and kernel threads named in ``actors``) from ``before`` to ``after``.

    All events of a process that started in between count; a process that has exited is not in ``pids``.
    """

    def __init__(self, before: Sample, after: Sample, pids: list[int], actors: tuple[str, ...] = ()) -> None:
        self._before, self._after, self._first = before, after, pids[0]
        wanted = set(pids) | {process.pid for process in after.processes if _is_kernel_thread(process, actors)}
        self._old = {process.pid: process for process in before.processes if process.pid in wanted}
        self._new = [process for process in after.processes if process.pid in wanted]

    def observed(self) -> Observed:
        """All expected events, census changes, and split counters under names such as "rmap_walks.unmap"."""
        found: Observed = {name: self._count(name) for name in (*EVENTS, *WALKS) if name != "first_faults"}
        lazy, regular = found["lazy_prepares"], found["prepares"]
        found["first_faults"] = None if regular is None else regular + (lazy or 0)
        for kept, made, gone in _KEPT:
            allocated, freed = found[made], found[gone]
            found[kept] = None if allocated is None or freed is None else allocated - freed
        for name in CENSUS:
            found[name] = self._census(name)
        for counter in COUNTERS:
            for value in counter.values:
                found[f"{counter.name}.{value}"] = self._divided(counter.split_key, value)
        return found

    def _count(self, name: str) -> int | None:
        total = 0
        if not self._new:
            return None
        for process in self._new:
            now = process.counts[name]
            if now is None:
                return None
            old = self._old.get(process.pid)
            began_before = old is not None and old.start_time == process.start_time
            total += now - ((old.counts[name] or 0) if old is not None and began_before else 0)
        return total

    def _census(self, name: str) -> int | None:
        now = next((process.census[name] for process in self._new if process.pid == self._first), None)
        old = self._old.get(self._first)
        if now is None or old is None or old.census[name] is None:
            return None
        return now - (old.census[name] or 0)

    def _divided(self, key: str, value: str) -> int | None:
        now = (self._after.totals.get(key) or {}).get(value)
        old = (self._before.totals.get(key) or {}).get(value)
        return None if now is None or old is None else int(now - old)

    def of_others(self, counter: str) -> int | None:
        """Other processes' events: the most by which a split counter, which covers the whole system, can be too high."""
        now, old, own = self._after.totals.get(counter), self._before.totals.get(counter), self._count(counter)
        return None if now is None or old is None or own is None else max(0, int(now - old) - own)


class Violations:
    """Broken invariants between readings, in any process: a broken invariant is always the kernel's fault."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def new(self, sample: Sample) -> dict[str, int]:
        """{invariant: times it was broken} since the last call."""
        counts = sample.totals.get("violations_by_invariant") or {}
        found = {name: count - self._known.get(name, 0) for name, count in counts.items() if count is not None}
        self._known.update({name: count for name, count in counts.items() if count is not None})
        return {name: count for name, count in found.items() if count}


class Blind:
    """Replaces a Span when events cannot be counted."""

    def observed(self) -> Observed:
        return {}

    def of_others(self, _counter: str) -> int | None:
        return None


def _is_kernel_thread(process: Process, actors: tuple[str, ...]) -> bool:
    return process.comm in actors and not process.census.get("vmas")
