# SPDX-License-Identifier: MIT
"""Addresses are numbers in what is compiled and addresses in what is loaded."""

from __future__ import annotations

import re
import struct

import pytest

from lazyobs.bpf import addresses, plan, sites
from lazyobs.bpf.addresses import Addresses
from lazyobs.kernel.functions import Functions
from lazyobs.kernel.kallsyms import Kallsyms
from lazyobs.kernel.profile import Profile

TAG = 0x4C617A79


def load_64(register: int, low: int, high: int, source: int = 0) -> bytes:
    return struct.pack("<BBhI", 0x18, source << 4 | register, 0, low) + struct.pack("<BBhI", 0, 0, 0, high)


def test_an_address_has_one_number():
    found = Addresses()
    assert [found.c(address) for address in (7, 9, 7)] == ["ADDRESS(0)", "ADDRESS(1)", "ADDRESS(0)"]
    assert found.values == [7, 9]


def test_numbers_are_found_and_filled_in():
    code = load_64(1, 1, TAG) + load_64(2, 0x1234, 0x5678) + load_64(3, 0, TAG)
    where = addresses.references(code)
    assert where == [(0, 1), (4, 0)]
    filled = bytearray(code)
    addresses.fill_in(filled, where, [0xFFFFFFFF81234567, 0xFFFF800011223344])
    assert bytes(filled) == (
        load_64(1, 0x11223344, 0xFFFF8000) + load_64(2, 0x1234, 0x5678) + load_64(3, 0x81234567, 0xFFFFFFFF)
    )


def test_a_map_is_no_address():
    assert addresses.references(load_64(1, 1, TAG, source=1)) == []


def test_a_number_without_an_address_is_an_error():
    with pytest.raises(IndexError):
        addresses.fill_in(bytearray(load_64(1, 2, TAG)), [(0, 2)], [1, 2])


def functions_at(base: int) -> Functions:
    lines = [f"{base + 0x100 * number:016x} t {name}\n" for number, name in enumerate([*sites.FUNCTIONS, "end"])]
    return Functions(Kallsyms("".join(lines).encode(), sites.FUNCTIONS), None, Profile("mainline", ""))


def test_the_text_is_the_same_wherever_the_kernel_lies():
    here, there = Addresses(), Addresses()
    low, high = 0xFFFFFFFF81000000, 0xFFFFFFFF9E400000
    text = sites.c_sites(functions_at(low), here)
    assert text == sites.c_sites(functions_at(high), there)
    assert [address + high - low for address in here.values] == there.values
    assert not re.search(r"0x[0-9a-f]{10}", text)


def test_a_plan_of_another_boot_is_moved(bpf):
    facts = plan.gather()
    made = plan.make(facts, "tracepoint", anchor=0x1000)
    moved = made.moved(0x51000)
    assert moved.addresses == [address + 0x50000 for address in made.addresses] and moved.anchor == 0x51000
    assert (moved.source, moved.points) == (made.source, made.points)
    assert moved.moved(0x1000) == made
