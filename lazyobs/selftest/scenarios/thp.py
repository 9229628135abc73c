# SPDX-License-Identifier: MIT
"""Transparent huge pages: a VMA has one anon_vma for folios of any size."""

from __future__ import annotations

from collections.abc import Iterator

from lazyobs.selftest import pagemap
from lazyobs.selftest.expectations import Count, Expect, cloned, events, facts, first_touch, forked
from lazyobs.selftest.pattern import Content, write
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.stage import Skip, Stage
from lazyobs.selftest.syscalls import PAGE, PROT_READ, PROT_RW, madvise, mprotect, munmap

N = 3
_SPLIT = Expect({"vmas_anon": Count(2 * N)}, {"vmas_anon": Count(2 * N)})


def regions(stage: Stage) -> tuple[list[int], int]:
    """Maps N separate VMAs of one huge page each; returns (addresses, small pages per VMA)."""
    size = int(stage.settings["thp"])
    base = stage.memory.reserve(2 * N * size // PAGE, size)
    found = [base + 2 * number * size for number in range(N)]
    for address in found:
        stage.memory.map(address, size // PAGE)
    return found, size // PAGE


def _huge(addresses: list[int], pages: int) -> int:
    """Writes to each VMA; returns the bytes in huge pages."""
    for address in addresses:
        madvise(address, pages * PAGE, "HUGEPAGE")
        write(address + 5 * PAGE, Content(0, 1))
    return sum(pagemap.huge_bytes(address) for address in addresses)


def _without_huge_pages() -> int:
    """Faults since boot that asked for a huge page and got small ones, because none was free; 0 where that is not
    counted."""
    with open("/proc/vmstat", encoding="ascii") as file:
        counts = dict(line.split() for line in file)
    return int(counts.get("thp_fault_fallback", 0))


def _not_huge(stage: Stage, found: list[int], size: int, refused: int) -> None:
    """States how much is not in huge pages. Skip where that is because none was free, and not the design's doing."""
    missing = N * size - sum(map(pagemap.huge_bytes, found))
    if missing and _without_huge_pages() > refused:
        raise Skip("thp: the kernel had no free huge pages")
    stage.fact(not_huge=missing)


def _fault_huge(stage: Stage) -> tuple[list[int], int]:
    found, pages = regions(stage)
    if _huge(found, pages) != N * pages * PAGE:
        raise Skip("thp: the kernel had no free huge pages")
    stage.memory.fill(found, pages)
    return found, pages


@scenario(
    SET_UP,
    Step("write one page", first_touch(N) + facts(not_huge=0), content=False),
    Step("write all"),
    Step("drop"),
    Step("write again", facts(not_huge=0)),
    needs=("thp",),
)
def thp_fault(stage: Stage) -> Iterator[None]:
    """The first write of a huge page prepares the VMA once"""
    found, pages = regions(stage)
    size, refused = pages * PAGE, _without_huge_pages()
    yield
    _huge(found, pages)
    _not_huge(stage, found, size, refused)
    yield
    stage.memory.fill(found, pages)
    yield
    for address in found:
        madvise(address, size, "DONTNEED")
    stage.memory.expect(found, pages)
    stage.memory.check("drop")
    yield
    for address in found:
        madvise(address, size, "DONTNEED")
    stage.memory.fill(found, pages)
    _not_huge(stage, found, size, refused)
    yield


@scenario(
    SET_UP,
    Step("write small pages", first_touch(N) + facts(huge=0)),
    Step("collapse", facts(not_huge=0)),
    Step("write"),
    needs=("thp", "collapse"),
)
def thp_collapse(stage: Stage) -> Iterator[None]:
    """MADV_COLLAPSE collapses small pages into a huge page; the VMA does not change"""
    found, pages = regions(stage)
    size = pages * PAGE
    for address in found:
        madvise(address, size, "NOHUGEPAGE")
    yield
    stage.memory.fill(found, pages)
    stage.fact(huge=sum(map(pagemap.huge_bytes, found)))
    yield
    for address in found:
        madvise(address, size, "HUGEPAGE")
        madvise(address, size, "COLLAPSE")
    stage.fact(not_huge=N * size - sum(map(pagemap.huge_bytes, found)))
    yield
    stage.memory.fill(found, pages)
    yield


@scenario(
    SET_UP,
    Step("protect one page", cloned(2 * N, N, "split") + _SPLIT + facts(huge=0)),
    Step("write beside it"),
    Step("merge again", events(chain_frees=2 * N)),
    needs=("thp",),
)
def thp_split_mapping(stage: Stage) -> Iterator[None]:
    """mprotect of one page inside a huge page splits the VMA and the mapping"""
    found, pages = _fault_huge(stage)
    yield
    for address in found:
        mprotect(address + 7 * PAGE, PAGE, PROT_READ)
    stage.fact(huge=sum(map(pagemap.huge_bytes, found)))
    yield
    stage.memory.fill(found, 7)
    stage.memory.fill([address + 8 * PAGE for address in found], pages - 8)
    yield
    for address in found:
        mprotect(address + 7 * PAGE, PAGE, PROT_RW)
    yield


@scenario(
    SET_UP,
    Step("split", facts(huge=0, in_huge_folios=0)),
    Step("write"),
    needs=("thp", "cold", "page_flags"),
)
def thp_split_folio(stage: Stage) -> Iterator[None]:
    """madvise of one page inside a huge page splits the folio: walks remove and restore every mapping"""
    found, pages = _fault_huge(stage)
    yield
    for address in found:
        madvise(address + 7 * PAGE, PAGE, "COLD")
    every = pagemap.pages_of(found, pages)
    stage.fact(
        huge=sum(map(pagemap.huge_bytes, found)),
        in_huge_folios=pagemap.with_flag(every, pagemap.THP),
    )
    yield
    stage.memory.fill(found, pages)
    yield


@scenario(
    SET_UP,
    Step("unmap a part", cloned(2 * N, N, "split") + events(chain_frees=N) + facts(huge=0)),
    Step("write the rest"),
    needs=("thp",),
)
def thp_partial_unmap(stage: Stage) -> Iterator[None]:
    """Unmapping 11 pages inside a huge page leaves the others unchanged"""
    found, pages = _fault_huge(stage)
    yield
    holes = [address + 13 * PAGE for address in found]
    stage.memory.forget(holes, 11)
    for hole in holes:
        munmap(hole, 11 * PAGE)
    stage.fact(huge=sum(map(pagemap.huge_bytes, found)))
    yield
    stage.memory.fill(found, 13)
    stage.memory.fill([address + 24 * PAGE for address in found], pages - 24)
    yield


@scenario(
    SET_UP,
    Step("fork", forked(N)),
    Step("child writes some pages"),
    Step("parent writes all"),
    Step("child writes all"),
    needs=("thp",),
)
def thp_fork(stage: Stage) -> Iterator[None]:
    """Fork shares a huge page; writes by the parent and the child copy it"""
    found, pages = _fault_huge(stage)
    yield

    def body(inside: Stage) -> Iterator[None]:
        yield
        inside.memory.fill([address + 31 * PAGE for address in found], 17)
        yield
        yield
        inside.memory.fill(found, pages)
        yield

    child = stage.fork(body)
    child.advance()
    yield
    child.advance()
    yield
    stage.memory.fill(found, pages)
    child.advance()
    yield
    child.advance()
    yield


@scenario(
    SET_UP,
    Step("out", facts(left=0), content=False),
    Step("in", facts(swapped=0)),
    needs=("thp", "swap", "pageout"),
)
def thp_swap(stage: Stage) -> Iterator[None]:
    """Huge pages are swapped out, whole or split, and swapped in again"""
    found, pages = _fault_huge(stage)
    every = pagemap.pages_of(found, pages)
    yield
    for _ in range(5):
        for address in found:
            madvise(address, pages * PAGE, "PAGEOUT")
        if pagemap.swapped(every) == len(every):
            break
    stage.fact(left=len(every) - pagemap.swapped(every))
    yield
    stage.memory.check("swap in")
    stage.fact(swapped=pagemap.swapped(every))
    yield
