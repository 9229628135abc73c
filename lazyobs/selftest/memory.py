# SPDX-License-Identifier: MIT
"""The memory of one scenario: islands apart from each other, and what every page of them must hold."""

from __future__ import annotations

from collections.abc import Iterable

from lazyobs.selftest import syscalls
from lazyobs.selftest.pattern import ZERO, Bytes, Content, WrongPage, write, wrong
from lazyobs.selftest.syscalls import MAP_FIXED, MAP_NORESERVE, PAGE, PROT_NONE, PROT_RW


class Memory:
    """Addresses are of this process; a forked child has a copy of the account, as it has of the memory."""

    def __init__(self, mark: int = 1) -> None:
        self._mark = mark
        self.pages: dict[int, tuple[Content | Bytes, ...]] = {}
        self.checked = 0
        self.wrong: list[WrongPage] = []

    def next_mark(self) -> int:
        """A mark that no earlier write of this process or its parents had."""
        self._mark += 1
        return self._mark

    def reserve(self, pages: int, align: int = PAGE) -> int:
        """Address space with no access, kept for good: nothing else comes to lie in it."""
        extra = align if align > PAGE else 0
        start = syscalls.mmap(pages * PAGE + extra, PROT_NONE, MAP_NORESERVE)
        return (start + align - 1) // align * align

    def islands(self, count: int, pages: int = 1, room: int | None = None, prot: int = PROT_RW) -> list[int]:
        """Addresses of ``count`` untouched VMAs of ``pages`` pages each, none of them a neighbour of another.

        Each has ``room`` pages to itself (twice its size otherwise); what is not open is PROT_NONE.
        """
        stride = (room or 2 * pages) + 1
        base = self.reserve(count * stride + 1) + PAGE
        found = [base + number * stride * PAGE for number in range(count)]
        for address in found:
            self.map(address, pages, prot)
        return found

    def map(self, address: int, pages: int, prot: int = PROT_RW, flags: int = 0, fd: int = -1, offset: int = 0) -> None:
        """A fresh VMA in reserved space."""
        syscalls.mmap(pages * PAGE, prot, flags | MAP_FIXED, fd, address, offset)

    def fill(
        self, addresses: Iterable[int], pages: int = 1, origin: int | None = None, mark: int | None = None
    ) -> None:
        """Writes every page. Given an ``origin`` and a mark, all pages become alike."""
        with_mark = self.next_mark() if mark is None else mark
        for address in addresses:
            for page in range(address, address + pages * PAGE, PAGE):
                content = Content(page if origin is None else origin, with_mark)
                write(page, content)
                self.pages[page] = (content,)

    def expect_written(self, addresses: Iterable[int], mark: int, pages: int = 1) -> None:
        """The pages were written by somebody else, as ``fill`` would have."""
        for address in addresses:
            for page in range(address, address + pages * PAGE, PAGE):
                self.pages[page] = (Content(page, mark),)

    def expect(self, addresses: Iterable[int], pages: int = 1, *allowed: Content | Bytes) -> None:
        """From now on every page must hold one of ``allowed`` (zeros where none is named)."""
        for address in addresses:
            for page in range(address, address + pages * PAGE, PAGE):
                self.pages[page] = allowed or (ZERO,)

    def or_zero(self, addresses: Iterable[int], pages: int = 1) -> None:
        """The kernel may drop the pages: what they hold, or zeros."""
        for address in addresses:
            for page in range(address, address + pages * PAGE, PAGE):
                self.pages[page] = (*self.pages[page], ZERO)

    def moved(self, source: int, target: int, pages: int = 1) -> None:
        """What was at ``source`` is at ``target`` now, and nothing is at ``source``."""
        for offset in range(0, pages * PAGE, PAGE):
            self.pages[target + offset] = self.pages.pop(source + offset)

    def forget(self, addresses: Iterable[int], pages: int = 1) -> None:
        """The pages are gone, or not to be touched."""
        for address in addresses:
            for page in range(address, address + pages * PAGE, PAGE):
                self.pages.pop(page, None)

    def check(self, where: str) -> None:
        """Compares every page of the account; what is wrong is kept in ``wrong``."""
        for page in self.pages:
            self.check_one(page, where)

    def check_one(self, page: int, where: str) -> None:
        bad = wrong(page, self.pages[page], where)
        self.checked += 1
        if bad is not None and len(self.wrong) < 100:
            self.wrong.append(bad)

    def spoil(self) -> None:
        """Turns one bit of the last page behind the account's back (to test the check itself)."""
        page = max(self.pages)
        with open("/proc/self/mem", "r+b", buffering=0) as file:
            file.seek(page + 40)
            old = file.read(1)
            file.seek(page + 40)
            file.write(bytes([old[0] ^ 1]))
