# SPDX-License-Identifier: MIT
"""What a compiled program leaves open is found, and filled in for one kernel: executed here, without a kernel."""

from __future__ import annotations

import random
import struct

import pytest

from lazyobs.bpf import blanks
from lazyobs.bpf.blanks import Blank, BlankError, Names, Switch, switch
from tests.bpf.switches import looked_up

NAMES = Names(("zero", "one"), ("first", "second"), ("table",), ("cache",))
EXIT = struct.pack("<BBhi", 0x95, 0, 0, 0)
WORD = (1 << 64) - 1


def load_64(register: int, low: int, high: int, source: int = 0) -> bytes:
    return struct.pack("<BBhI", 0x18, source << 4 | register, 0, low) + struct.pack("<BBhI", 0, 0, 0, high)


def instruction(opcode: int, registers: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    return struct.pack("<BBhi", opcode, registers, offset, immediate)


CONSTANT_1 = load_64(3, 1, 0x4C617A79)
TABLE = load_64(2, 0, 0x4C617A53) + instruction(0x0F, 0x12)  # r2 = row of r1
ADD_SECOND = instruction(0x07, 4, 0, 0x5A000100)
TAKE_SECOND = instruction(0x17, 4, 0, 0x5A000100)
LOAD_SECOND = instruction(0x79, 0x15, 0x7001)
SWAP = instruction(0xDB, 0x21, 0, 0xF1)
ADD_AND_FETCH = instruction(0xDB, 0x21, 0, 0x01)
FUNCTION = instruction(0x85, 0, 0, 0x4C610000)
MAP = load_64(1, 77, 0, source=1)


def run(code: bytes, **registers: int) -> dict[int, int]:
    """Registers at the end of a program of moves, additions and jumps."""
    found = {int(name[1:]): value for name, value in registers.items()}
    program = list(struct.iter_unpack("<BBhi", code))
    at = 0
    while True:
        opcode, both, offset, immediate = program[at]
        into, value = both & 15, immediate & WORD
        at += 1
        if opcode == 0x95:
            return found
        if opcode == 0x18:
            found[into] = (immediate & 0xFFFFFFFF) | (program[at][3] & 0xFFFFFFFF) << 32
            at += 1
        elif opcode == 0x07:
            found[into] = found[into] + value & WORD
        elif opcode == 0x0F:
            found[into] = found[into] + found[both >> 4] & WORD
        elif opcode == 0xB7:
            found[into] = value
        elif opcode == 0x05 or (opcode == 0x35 and found[into] >= value) or (opcode == 0x15 and found[into] == value):
            at += offset
        elif opcode == 0xA5:
            at += offset if found[into] < value else 0
        else:
            assert opcode in (0x35, 0x15), hex(opcode)


def row_of(table: Switch, value: int) -> int:
    code = blanks.fill(TABLE + EXIT, [Blank(0, "switch", "table")], {}, {}, {"table": table})
    return run(code, r1=value)[2]


def test_blanks_are_found_by_their_marks() -> None:
    code = load_64(2, 1, 7) + CONSTANT_1 + TABLE + ADD_SECOND + TAKE_SECOND + LOAD_SECOND + SWAP + MAP
    code += ADD_AND_FETCH + FUNCTION + instruction(0x85, 0, 0, 113) + instruction(0xDB, 0x21) + EXIT
    found = blanks.find(code, NAMES, {77: "totals"})
    assert found == [
        (2, "constant", "one"),
        (4, "switch", "table"),
        (7, "offset", "second"),
        (8, "offset", "second"),
        (9, "load", "second"),
        (10, "swap", "HAVE_COMPARE_AND_SWAP"),
        (11, "map", "totals"),
        (13, "swap", "HAVE_COMPARE_AND_SWAP"),
        (14, "function", "cache"),
    ]
    blanks.check(code, found)


def test_a_number_without_a_name_is_an_error() -> None:
    for code in (
        load_64(3, 2, 0x4C617A79),
        instruction(0x07, 4, 0, 0x5A000200),
        instruction(0x79, 0x15, 0x7002),
        instruction(0x85, 0, 0, 0x4C610002),
    ):
        with pytest.raises(BlankError, match="2 at 0 has no name"):
            blanks.find(code, NAMES, {})


@pytest.mark.parametrize("address", [0xFFFFFFFF81234567, 0xFFFF800011223344, 0, 23, -1])
def test_a_constant_has_64_bits(address: int) -> None:
    code = blanks.fill(CONSTANT_1 + EXIT, [Blank(0, "constant", "one")], {}, {"one": address}, {})
    assert run(code) == {3: address & WORD}


def test_offsets_maps_swaps_and_functions() -> None:
    def filled(code: bytes, kind: str, values: dict[str, int | None]) -> bytes:
        (blank,) = blanks.find(code, NAMES, {77: "totals"})
        assert blank.kind == kind
        return blanks.fill(code, [blank], {"totals": 101}, values, {})

    assert filled(ADD_SECOND, "offset", {"second": 1016}) == instruction(0x07, 4, 0, 1016)
    assert filled(TAKE_SECOND, "offset", {"second": 1016}) == instruction(0x17, 4, 0, 1016)
    assert filled(LOAD_SECOND, "load", {"second": 1016}) == instruction(0x79, 0x15, 1016)
    # An argument that the function does not have.
    assert filled(LOAD_SECOND, "load", {"second": None}) == instruction(0xB7, 5, 0, 0)
    assert filled(SWAP, "swap", {"HAVE_COMPARE_AND_SWAP": 1}) == SWAP
    assert filled(SWAP, "swap", {"HAVE_COMPARE_AND_SWAP": 0}) == instruction(0xB7)
    assert filled(ADD_AND_FETCH, "swap", {"HAVE_COMPARE_AND_SWAP": 0}) == instruction(0xB7)
    assert filled(FUNCTION, "function", {"cache": 64012}) == instruction(0x85, 0x20, 0, 64012)
    # A kernel without the function: the call is never reached, and refused nevertheless.
    assert filled(FUNCTION, "function", {"cache": None}) == instruction(0xB7)
    assert filled(MAP, "map", {}) == load_64(1, 101, 0, source=1)


@pytest.mark.parametrize("code", [CONSTANT_1, ADD_SECOND, LOAD_SECOND, SWAP, FUNCTION, TABLE])
def test_what_is_not_known_is_an_error(code: bytes) -> None:
    with pytest.raises(BlankError, match="nothing to fill in for"):
        blanks.fill(code, blanks.find(code, NAMES, {}), {}, {}, {})


def test_an_offset_too_far_for_a_load_is_an_error() -> None:
    with pytest.raises(BlankError, match="nothing to fill in for load second"):
        blanks.fill(LOAD_SECOND, [Blank(0, "load", "second")], {}, {"second": 1 << 15}, {})


def expected(ranges: list[tuple[int, int, int]], value: int, default: int) -> int:
    return next((row for start, end, row in ranges if start <= value < end), default)


@pytest.mark.parametrize("in_loop", [False, True])
@pytest.mark.parametrize("seed", range(23))
def test_a_switch_says_what_its_ranges_say(seed: int, in_loop: bool) -> None:
    random_ = random.Random(seed)
    base = random_.choice([0xFFFFFFFF81000000, 0xFFFF800010000000, 1000, 0])
    starts = [base + random_.randrange(3000) for _ in range(random_.randrange(1, 17))]
    ranges = [(start, start + random_.randrange(0, 90), random_.randrange(7)) for start in starts]
    table = switch(ranges, default=101, in_loop=in_loop)
    edges = {edge + by & WORD for start, end, _ in ranges for edge in (start, end) for by in (-1, 0, 1)}
    for value in edges | {0, WORD, 1 << 63, base + 3100}:
        assert row_of(table, value) == expected(ranges, value, 101) == looked_up(table, value), (ranges, value)


def test_where_ranges_overlap_the_first_holds_or_all() -> None:
    ranges = [(10, 20, 1), (15, 30, 2)]
    assert [row_of(switch(ranges), value) for value in (9, 10, 15, 20, 30)] == [0, 1, 1, 2, 0]
    both = switch(ranges, both=int.__or__)
    assert [row_of(both, value) for value in (9, 10, 15, 20, 30)] == [0, 1, 3, 2, 0]


def test_a_switch_of_nothing_is_its_default() -> None:
    assert row_of(switch([], 7), 23) == row_of(switch([(5, 5, 1)], 7), 5) == 7


def test_a_switch_moves_with_the_kernel() -> None:
    here = switch([(0x1000, 0x1100, 1)])
    assert row_of(here.moved(0x50000), 0x51000) == 1 and row_of(here.moved(0x50000), 0x1000) == 0
    numbers = switch([(3, 4, 1)], moves=False)
    assert numbers.moved(0x50000) == numbers


def test_functions_too_far_apart_for_an_instruction() -> None:
    near, far = (0, 1, 1), ((1 << 31) - 1, 1 << 31, 1)
    assert row_of(switch([(1, 2, 1), far]), (1 << 31) - 1) == 1
    with pytest.raises(OverflowError, match="spans 0x80000000, from 0x0: the bound is 0x80000000"):
        switch([near, far])


def test_jumps_across_a_switch_reach_where_they_did() -> None:
    table = switch([(23, 101, 1), (211, 307, 2)])
    # r1 == 0: past the switch, to r3 = 5; else r3 = 7, and back over nothing that counts twice.
    code = (
        instruction(0x15, 1, 4, 0) + TABLE + instruction(0x05, 0, 2) + instruction(0xB7, 3, 0, 5)
        + EXIT + instruction(0xB7, 3, 0, 7) + instruction(0x05, 0, -3)
    )  # fmt: skip
    filled = blanks.fill(code, blanks.find(code, NAMES, {}), {}, {}, {"table": table})
    assert len(filled) > len(code)
    assert run(filled, r1=0) == {1: 0, 3: 5}
    assert run(filled, r1=211) == {1: 211, 2: 2, 3: 7}
    assert run(filled, r1=101) == {1: 101, 2: 0, 3: 7}


@pytest.mark.parametrize("offset", [-2, 3, 32767])
def test_a_jump_out_of_the_program_is_an_error(offset: int) -> None:
    code = TABLE + instruction(0x05, 0, offset)
    table = {"table": switch([(1, 2, 3)])}
    if offset == -2:  # backwards from the first
        code = instruction(0x05, 0, offset) + TABLE
    with pytest.raises(BlankError, match="leaves the program"):
        blanks.fill(code, blanks.find(code, NAMES, {}), {}, {}, table)
