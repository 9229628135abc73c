# SPDX-License-Identifier: MIT
"""Page contents: each 8-byte word holds its own address, with the writer's mark in the top 16 bits.

A misplaced page, another process's page and stale contents therefore all differ from the right page.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from lazyobs.selftest.syscalls import PAGE, libc


@dataclass(frozen=True)
class Content:
    """Contents written when the page was at address ``origin``, with ``mark`` (1..65535)."""

    origin: int
    mark: int

    def page(self) -> array[int]:
        first = self.origin | self.mark << 48
        return array("Q", range(first, first + PAGE, 8))


class _Zero(Content):
    def page(self) -> array[int]:
        return array("Q", bytes(PAGE))


ZERO = _Zero(0, 0)


@dataclass(frozen=True)
class Bytes:
    """A page that the kernel or a file filled."""

    data: bytes

    def page(self) -> array[int]:
        return array("Q", self.data.ljust(PAGE, b"\0"))


@dataclass(frozen=True)
class WrongPage:
    """A page with wrong contents. ``found`` and ``expected`` are 16 bytes at ``offset``, in hex."""

    page: int
    offset: int
    expected: str
    found: str
    where: str

    def as_json(self) -> dict[str, object]:
        return vars(self)


def write(address: int, content: Content) -> None:
    """Fills the page at ``address``. The copy runs without the GIL."""
    page = content.page()
    libc.memcpy(address, page.buffer_info()[0], PAGE)


def wrong(address: int, allowed: tuple[Content | Bytes, ...], where: str) -> WrongPage | None:
    """The mismatch, or None if the page at ``address`` holds one of ``allowed``."""
    for content in allowed:
        page = content.page()
        if libc.memcmp(address, page.buffer_info()[0], PAGE) == 0:
            return None
    expected = allowed[0].page().tobytes()
    found = array("Q", bytes(PAGE))
    libc.memcpy(found.buffer_info()[0], address, PAGE)
    seen = found.tobytes()
    offset = next((i for i in range(PAGE) if seen[i] != expected[i]), 0) & ~15
    return WrongPage(address, offset, expected[offset : offset + 16].hex(), seen[offset : offset + 16].hex(), where)
