# SPDX-License-Identifier: MIT
"""Orphans: live objects that no VMA holds. A leak makes them more; nothing else does for long.

Every chain is on the list of one VMA, and every live anon_vma is in some chain. Left over are the objects of tasks that
the iterator does not visit, and of processes on their way in or out: a fork that is not visible yet, an exit that has
given up its mm and not yet freed it. Those pass, so several readings are taken and the smallest difference is kept.

Two sources say how many objects are live, and both have their fault:

- slabinfo after a shrink counts what there is, whoever made it. It is of no use where the kernel merged the cache with
  others, and it counts free objects of slabs that were in use again since the shrink.
- Allocations less frees by call site are exact for a merged cache too, beginning with what VMAs held at a first
  reading. They drift where allocations are not seen: by tasks that the kernel hides from BPF, or skipped runs.

So slabinfo is used where the cache has a row of its own, and call sites where it has not. Of anon_vmas there are both,
and how far they went apart is the residual: where it is not 0, call sites are not believed.

A reading takes time. Its result is never too low: what was allocated meanwhile counts as live and as held by nobody.
Where nothing was allocated or freed meanwhile it is exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lazyobs.kernel.slab import Slabinfo, SlabRow
from lazyobs.kernel.slab_barrier import SlabBarrier
from lazyobs.sources.account import CACHES, Account, Held
from lazyobs.sources.source import Source
from lazyobs.text import plural

READINGS = 5
SLAB, SITES = "slab", "call sites"
_AGREE = 4  # objects between the two sources that a process on its way explains


@dataclass(frozen=True)
class Orphans:
    """Of one cache. ``live`` objects by ``source``, ``held`` by VMAs and ``orphans`` are of the reading with the fewest
    orphans; the readings lie ``spread`` apart. ``residual``: objects by slabinfo less those by call sites, both since
    the first exact reading; None where there is none at this barrier. The others are None with a ``reason``.

    ``calm``: nothing was allocated or freed during any of the readings, and they agree. Of a merged cache the orphans
    are those since the first exact reading. ``by_sites``: the same by call sites, less what was live at attach.
    """

    cache: str
    live: int | None = None
    held: int | None = None
    orphans: int | None = None
    spread: int | None = None
    source: str = ""
    residual: int | None = None
    reason: str = ""
    calm: bool = False
    by_sites: int | None = None
    everyone: bool = False


@dataclass(frozen=True)
class Reading:
    """Rows of slabinfo and the account before and after the census, and the account before the shrink."""

    flushed: Account
    before: Account
    first: dict[str, SlabRow]
    held: Held
    second: dict[str, SlabRow]
    after: Account

    @property
    def exact(self) -> bool:
        return self.flushed == self.after

    def by_slab(self, cache: str) -> int:
        """Objects that slabinfo counts and no VMA holds, at most."""
        made = self.after.of(cache).allocs - self.before.of(cache).allocs
        active = max(self.first[cache].active + made, self.second[cache].active)
        return active - self.held.of(cache)

    def by_sites(self, cache: str) -> int:
        """The same by call sites, less the objects that were live at attach."""
        return self.after.of(cache).allocs - self.before.of(cache).frees - self.held.of(cache)

    def apart(self, cache: str) -> int:
        """Live objects by slabinfo less those by call sites."""
        return self.first[cache].active - self.before.of(cache).net


def why_not_counted(source: Source, slabinfo: Slabinfo, barrier: SlabBarrier) -> str:
    """Why orphans cannot be counted at all; "" where they can."""
    return source.why_not("held") or source.why_not("account") or slabinfo.why_not or barrier.why_not


class OrphanFiles:
    """What orphans are read from besides the source: opened by root, read later without privileges."""

    def __init__(self) -> None:
        self.slabinfo, self.barrier = Slabinfo(), SlabBarrier()

    def reader(self, source: Source) -> OrphanReader:
        return OrphanReader(source, self.slabinfo, self.barrier)

    def close(self) -> None:
        self.slabinfo.close()
        self.barrier.close()


class OrphanReader:
    """Takes the readings of one barrier after another."""

    def __init__(self, source: Source, slabinfo: Slabinfo, barrier: SlabBarrier, readings: int = READINGS) -> None:
        self._source, self._slabinfo, self._barrier, self._count = source, slabinfo, barrier, readings
        self.why_not = why_not_counted(source, slabinfo, barrier)
        self._base: dict[str, int] = {}  # cache: difference by call sites at the first exact reading
        self._offset: int | None = None
        self._missed = 0  # as the last exact reading found

    def read(self) -> list[Orphans]:
        """Of each of CACHES; the caches were settled just now. OSError where a part cannot be read any more."""
        if self.why_not:
            return [Orphans(cache, reason=self.why_not) for cache in CACHES]
        return self.of([self._reading() for _ in range(self._count)])

    def _reading(self) -> Reading:
        flushed = self._source.account()
        if not self._barrier.shrink():
            raise OSError(0, self._barrier.why_not)
        before, first = self._source.account(), self._slabinfo.read()
        held = self._source.held()
        return Reading(flushed, before, first, held, self._slabinfo.read(), self._source.account())

    def of(self, readings: list[Reading]) -> list[Orphans]:
        """The floor of the readings of a barrier."""
        if cut := _cut(readings):
            return [Orphans(cache, reason=cut) for cache in CACHES]
        found = []
        residual = self._compare(readings) if self._own_row("anon_vma", readings) else None
        for cache in CACHES:
            if self._own_row(cache, readings):
                found.append(self._by_slab(cache, readings, residual if cache == "anon_vma" else None))
            else:
                found.append(self._by_sites(cache, readings))
        return found

    def _own_row(self, cache: str, readings: list[Reading]) -> bool:
        return not self._slabinfo.merged[cache] and all(cache in one.first and cache in one.second for one in readings)

    def _compare(self, readings: list[Reading]) -> int | None:
        """Anon_vmas by slabinfo less those by call sites, both since the first exact reading; None without one now."""
        offsets = [one.apart("anon_vma") for one in readings if one.exact]
        if not offsets:
            return None
        if self._offset is None:
            self._offset = min(offsets)
        self._missed = min(offsets) - self._offset
        return self._missed

    def _by_slab(self, cache: str, readings: list[Reading], residual: int | None = None) -> Orphans:
        least = min(readings, key=lambda one: one.by_slab(cache))
        orphans, held = least.by_slab(cache), least.held.of(cache)
        apart = _apart(one.by_slab(cache) for one in readings)
        return Orphans(
            cache, held + orphans, held, orphans, apart, SLAB, residual,
            calm=apart == 0 and all(one.exact for one in readings),
            by_sites=min(one.by_sites(cache) for one in readings),
            everyone=least.held.everyone,
        )  # fmt: skip

    def _by_sites(self, cache: str, readings: list[Reading]) -> Orphans:
        least = min(readings, key=lambda one: one.by_sites(cache))
        held, found = least.held.of(cache), least.by_sites(cache)
        if why := self._why_not_by_sites(cache, readings):
            return Orphans(cache, held=held, reason=why, everyone=least.held.everyone)
        orphans = found - self._base[cache]
        apart = _apart(one.by_sites(cache) for one in readings)
        return Orphans(cache, held + orphans, held, orphans, apart, SITES, by_sites=found, everyone=least.held.everyone)

    def _why_not_by_sites(self, cache: str, readings: list[Reading]) -> str:
        others = self._slabinfo.merged[cache]
        row = f"its slab row is shared with {', '.join(others)}" if others else "slabinfo has no row of it"
        if cache not in self._base:
            exact = [one.by_sites(cache) for one in readings if one.exact]
            if exact:
                self._base[cache] = min(exact)
            return f"{row}; call sites give the orphans since the first reading during which nothing was allocated or freed"
        off = abs(self._missed)
        if off <= _AGREE:
            return ""
        return (
            f"{row}, and the probes missed {off} {plural(off, 'anon_vma')} that were allocated or freed since the "
            "beginning: by a task that BPF does not see, or in skipped runs"
        )


def _cut(readings: list[Reading]) -> str:
    cut = max(one.held.cut for one in readings)
    return f"{cut} {plural(cut, 'VMA')} with more chains than the iterator counts" if cut else ""


def _apart(values: Iterable[int]) -> int:
    found = list(values)
    return max(found) - min(found)
