# SPDX-License-Identifier: MIT
"""The memory of one scenario: isolated VMAs (islands), and the contents that each of their pages must have."""

from __future__ import annotations

from collections.abc import Iterable

from lazyobs.selftest import syscalls
from lazyobs.selftest.pattern import ZERO, Bytes, Content, WrongPage, write, wrong
from lazyobs.selftest.syscalls import MAP_FIXED, MAP_NORESERVE, PAGE, PROT_NONE, PROT_RW


class Memory:
    """Maps each page address of this process to its expected contents. Fork copies this record with the memory."""

    def __init__(self, mark: int = 1) -> None:
        self._mark = mark
        self.pages: dict[int, tuple[Content | Bytes, ...]] = {}
        self.checked = 0
        self.wrong: list[WrongPage] = []

    def next_mark(self) -> int:
        """A mark that no earlier write of this process or its ancestors used."""
        self._mark += 1
        return self._mark

    def reserve(self, pages: int, align: int = PAGE) -> int:
        """Reserves PROT_NONE address space that is never released, so that no other mapping lands in it."""
        extra = align if align > PAGE else 0
        start = syscalls.mmap(pages * PAGE + extra, PROT_NONE, MAP_NORESERVE)
        return (start + align - 1) // align * align

    def islands(self, count: int, pages: int = 1, room: int | None = None, prot: int = PROT_RW) -> list[int]:
        """Addresses of ``count`` untouched VMAs of ``pages`` pages each; no two are adjacent.

        Each has ``room`` pages of space (default: twice its size), PROT_NONE beyond the VMA itself.
        """
        stride = (room or 2 * pages) + 1
        base = self.reserve(count * stride + 1) + PAGE
        found = [base + number * stride * PAGE for number in range(count)]
        for address in found:
            self.map(address, pages, prot)
        return found

    def map(self, address: int, pages: int, prot: int = PROT_RW, flags: int = 0, fd: int = -1, offset: int = 0) -> None:
        """Maps a new VMA in reserved space."""
        syscalls.mmap(pages * PAGE, prot, flags | MAP_FIXED, fd, address, offset)

    def fill(
        self, addresses: Iterable[int], pages: int = 1, origin: int | None = None, mark: int | None = None
    ) -> None:
        """Writes every page. With ``origin`` and ``mark`` given, all pages get the same contents."""
        with_mark = self.next_mark() if mark is None else mark
        for address in addresses:
            for page in range(address, address + pages * PAGE, PAGE):
                content = Content(page if origin is None else origin, with_mark)
                write(page, content)
                self.pages[page] = (content,)

    def expect_written(self, addresses: Iterable[int], mark: int, pages: int = 1) -> None:
        """Records that another thread or process wrote the pages as ``fill`` does."""
        for address in addresses:
            for page in range(address, address + pages * PAGE, PAGE):
                self.pages[page] = (Content(page, mark),)

    def expect(self, addresses: Iterable[int], pages: int = 1, *allowed: Content | Bytes) -> None:
        """From now on every page must hold one of ``allowed`` (default: zeros)."""
        for address in addresses:
            for page in range(address, address + pages * PAGE, PAGE):
                self.pages[page] = allowed or (ZERO,)

    def or_zero(self, addresses: Iterable[int], pages: int = 1) -> None:
        """The kernel may drop the pages: also allows zeros."""
        for address in addresses:
            for page in range(address, address + pages * PAGE, PAGE):
                self.pages[page] = (*self.pages[page], ZERO)

    def moved(self, source: int, target: int, pages: int = 1) -> None:
        """Records that the pages at ``source`` are now at ``target``, and nothing is at ``source``."""
        for offset in range(0, pages * PAGE, PAGE):
            self.pages[target + offset] = self.pages.pop(source + offset)

    def forget(self, addresses: Iterable[int], pages: int = 1) -> None:
        """Stops checking the pages: they are unmapped or must not be touched."""
        for address in addresses:
            for page in range(address, address + pages * PAGE, PAGE):
                self.pages.pop(page, None)

    def check(self, where: str) -> None:
        """Compares every recorded page with its expected contents; adds mismatches to ``wrong``."""
        for page in self.pages:
            self.check_one(page, where)

    def check_one(self, page: int, where: str) -> None:
        bad = wrong(page, self.pages[page], where)
        self.checked += 1
        if bad is not None and len(self.wrong) < 100:
            self.wrong.append(bad)

    def spoil(self) -> None:
        """Flips one bit of the last page without recording it, to test the check itself."""
        page = max(self.pages)
        with open("/proc/self/mem", "r+b", buffering=0) as file:
            file.seek(page + 40)
            old = file.read(1)
            file.seek(page + 40)
            file.write(bytes([old[0] ^ 1]))
