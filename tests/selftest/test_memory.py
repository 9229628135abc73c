# SPDX-License-Identifier: MIT
"""The account of what pages must hold finds every kind of wrong page."""

from __future__ import annotations

import ctypes

from lazyobs.selftest import syscalls
from lazyobs.selftest.memory import Memory
from lazyobs.selftest.syscalls import PAGE


def _written(count: int = 7) -> tuple[Memory, list[int]]:
    memory = Memory()
    islands = memory.islands(count)
    memory.fill(islands)
    return memory, islands


def test_right_pages() -> None:
    memory, islands = _written()
    memory.check("test")
    assert memory.checked == len(islands) and memory.wrong == []


def test_one_bit() -> None:
    memory, islands = _written()
    memory.spoil()
    memory.check("test")
    (bad,) = memory.wrong
    assert (bad.page, bad.offset, bad.where) == (islands[-1], 32, "test")
    expected, found = bytes.fromhex(bad.expected), bytes.fromhex(bad.found)
    assert [i for i in range(16) if expected[i] != found[i]] == [8]


def test_a_page_in_anothers_place() -> None:
    memory, islands = _written()
    ctypes.memmove(islands[0], islands[1], PAGE)
    memory.check("test")
    assert [bad.page for bad in memory.wrong] == [islands[0]]


def test_a_page_of_an_earlier_write() -> None:
    memory, islands = _written()
    old = ctypes.string_at(islands[3], PAGE)
    memory.fill(islands)
    ctypes.memmove(islands[3], old, PAGE)
    memory.check("test")
    assert [bad.page for bad in memory.wrong] == [islands[3]]


def test_pages_that_should_be_zero_and_pages_that_may() -> None:
    memory, islands = _written()
    memory.expect(islands[:2])
    memory.or_zero(islands[2:4])
    ctypes.memset(islands[3], 0, PAGE)
    memory.check("test")
    assert [bad.page for bad in memory.wrong] == islands[:2]


def test_a_moved_page_keeps_the_address_it_was_written_at() -> None:
    memory, islands = _written()
    (target,) = memory.islands(1, prot=0)
    syscalls.mremap(islands[0], PAGE, PAGE, syscalls.MREMAP_MAYMOVE | syscalls.MREMAP_FIXED, target)
    memory.moved(islands[0], target)
    memory.check("test")
    assert memory.wrong == []
