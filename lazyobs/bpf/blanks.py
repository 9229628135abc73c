# SPDX-License-Identifier: MIT
"""Blanks: what a compiled program leaves open, and how it is filled in when the program is loaded.

probes/blanks.h makes them. A blank is an instruction that bears a mark and a number, which stands for a name
(template.py). Where a member lies, what a constant is, and where the kernel's functions are is the same for no two
kernels, and the last changes at each boot (KASLR): one image serves them all.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from lazyobs.bpf import abi

_CONSTANT_MARK, _SWITCH_MARK, _VALUE_MARK = 0x4C617A79, 0x4C617A53, 0x4C617A56  # upper halves of 64-bit numbers
_OFFSET_MARK, MEMBER_STRIDE = 0x5A000000, 256  # the immediate of an addition or subtraction
_LOAD_MARK = 0x7000  # the offset of a load: beyond every struct of the probes
_MOST_MEMBERS = 0x1000
FUNCTION_MARK = 0x4C610000  # the number of a helper: none is so large
_KERNEL_FUNCTION = 2  # BPF_PSEUDO_KFUNC_CALL, where a call has its source register
_MAP_VALUE = 2  # BPF_PSEUDO_MAP_VALUE, where a load of 64 bits has it: the address of an array's only value

MAP, CONSTANT, OFFSET, LOAD, SWITCH, SWAP = "map", "constant", "offset", "load", "switch", "swap"
FUNCTION, VALUE = "function", "value"
KINDS = (MAP, CONSTANT, OFFSET, LOAD, SWITCH, SWAP, FUNCTION, VALUE)
OF_MAPS = (MAP, VALUE)  # the blanks whose names are those of maps
_WIDE = (MAP, CONSTANT, SWITCH, VALUE)
# What a compare-and-swap, or an addition that says what was there before, is filled in with: kernels without them refuse
# the instruction, even where it is never reached.
HAVE_SWAP = "HAVE_COMPARE_AND_SWAP"

_ADD_NUMBER, _SUBTRACT_NUMBER, _ADD, _MOVE_NUMBER = 0x07, 0x17, 0x0F, 0xB7
_LOAD_64, _JUMP, _JUMP_IF_AT_LEAST, _JUMP_IF_LESS, _CALL, _EXIT = 0x79, 0x05, 0x35, 0xA5, 0x85, 0x95
_SWAPS, _COMPARE_AND_SWAP, _FETCH_AND_ADD = (0xC3, 0xDB), 0xF1, 0x01
_JUMP_CLASSES = (5, 6)
_MOST_SPAN = 1 << 31  # of what a switch tells apart: an immediate

C_MARKS = f"""#define CONSTANT_MARK ({_CONSTANT_MARK:#x}ULL << 32)
#define SWITCH_MARK ({_SWITCH_MARK:#x}ULL << 32)
#define VALUE_MARK ({_VALUE_MARK:#x}ULL << 32)
#define OFFSET_MARK {_OFFSET_MARK:#x}
#define LOAD_MARK {_LOAD_MARK:#x}
#define MEMBER_STRIDE {MEMBER_STRIDE}
"""


class Blank(NamedTuple):
    """``at``: index of the instruction; ``name``: of the value, the switch or the map."""

    at: int
    kind: str
    name: str


class Names(NamedTuple):
    """The names that the numbers of the C text stand for."""

    constants: Sequence[str]
    offsets: Sequence[str]
    switches: Sequence[str]
    functions: Sequence[str] = ()
    maps: Sequence[str] = ()


class Switch(NamedTuple):
    """``rows``: (start, value), in order, each up to the next row; ``span`` is the end of the last. All count from
    ``base``, which with ``moves`` is an address of the kernel. ``default``: the value before and behind. ``in_loop``:
    one comparison after the other instead of a search, which costs the verifier a third in each round."""

    base: int
    span: int
    rows: Sequence[tuple[int, int]]
    default: int
    moves: bool
    in_loop: bool = False

    @classmethod
    def of(cls, fields: Sequence[Any]) -> Switch:
        """From JSON. TypeError or ValueError where that is none."""
        base, span, rows, default, moves, in_loop = fields
        return cls(base, span, tuple((start, value) for start, value in rows), default, moves, in_loop)

    def moved(self, by: int) -> Switch:
        """For a kernel that lies so many bytes higher."""
        return self._replace(base=self.base + by) if self.moves else self


# {name: the number; None for what this kernel does not have}
Values = Mapping[str, "int | None"]


class BlankError(ValueError):
    """A blank that is none, or that nothing is known for."""


def switch(
    ranges: Iterable[tuple[int, int, int]],
    default: int = 0,
    moves: bool = True,
    both: Callable[[int, int], int] = lambda first, second: first,
    in_loop: bool = False,
) -> Switch:
    """The switch of these (start, end, value); ``both`` says what holds where two overlap, by default the first.

    OverflowError where they lie too far apart for an instruction.
    """
    found = [row for row in ranges if row[0] < row[1]]
    if not found:
        return Switch(0, 0, (), default, False, in_loop)
    base, end = min(start for start, _, _ in found), max(end for _, end, _ in found)
    if end - base >= _MOST_SPAN:
        raise OverflowError(f"what is told apart spans {end - base:#x}, from {base:#x}: the bound is {_MOST_SPAN:#x}")
    rows: list[tuple[int, int]] = []
    for at in sorted({edge for start, end, _ in found for edge in (start, end)} - {end}):
        value = default
        for number, here in enumerate(row[2] for row in found if row[0] <= at < row[1]):
            value = both(value, here) if number else here
        if not rows or rows[-1][1] != value:
            rows.append((at - base, value))
    return Switch(base, end - base, tuple(rows), default, moves, in_loop)


def find(code: bytes, names: Names, maps: Mapping[int, str]) -> list[Blank]:
    """The blanks of a compiled program. ``maps``: {descriptor: name}. BlankError for a number without a name."""
    found = []
    instructions = list(abi.INSTRUCTION.iter_unpack(code))
    for at, (opcode, registers, offset, immediate) in enumerate(instructions):
        kind, number, table = _blank(opcode, registers, offset, immediate, instructions[at + 1 : at + 2])
        if kind == MAP:
            found.append(Blank(at, MAP, maps[immediate]))
        elif kind == SWAP:
            found.append(Blank(at, SWAP, HAVE_SWAP))
        elif kind:
            known = getattr(names, table)
            if number >= len(known):
                raise BlankError(f"{kind} {number} at {at} has no name")
            found.append(Blank(at, kind, known[number]))
    return found


def _blank(
    opcode: int, registers: int, offset: int, immediate: int, following: Sequence[tuple[int, ...]]
) -> tuple[str, int, str]:
    """(kind, number, the table it counts in) of the blank that an instruction is; "" for one that is none."""
    if opcode == abi.LD_IMM64 and following:
        if registers >> 4 == abi.PSEUDO_MAP_FD:
            return MAP, 0, ""
        if registers >> 4 == 0 and following[0][3] == _CONSTANT_MARK:
            return CONSTANT, immediate, "constants"
        if registers >> 4 == 0 and following[0][3] == _SWITCH_MARK:
            return SWITCH, immediate, "switches"
        if registers >> 4 == 0 and following[0][3] == _VALUE_MARK:
            return VALUE, immediate, "maps"
    elif opcode in (_ADD_NUMBER, _SUBTRACT_NUMBER) and immediate & 0xFF000000 == _OFFSET_MARK:
        return OFFSET, (immediate & 0xFFFFFF) // MEMBER_STRIDE, "offsets"
    elif opcode == _LOAD_64 and offset >= _LOAD_MARK:
        return LOAD, offset - _LOAD_MARK, "offsets"
    elif opcode in _SWAPS and immediate in (_COMPARE_AND_SWAP, _FETCH_AND_ADD):
        return SWAP, 0, ""
    elif opcode == _CALL and registers == 0 and immediate & ~0xFF == FUNCTION_MARK:
        return FUNCTION, immediate & 0xFF, "functions"
    return "", 0, ""


def check(code: bytes, blanks: Iterable[Blank]) -> None:
    """BlankError unless the program has a blank of that kind at each of these places, which are in order."""
    before, count = -1, len(code) // abi.INSTRUCTION.size
    for at, kind, _ in blanks:
        if not before < at < count:
            raise BlankError(f"a blank at {at} of {count} instructions")
        following = [abi.INSTRUCTION.unpack_from(code, 8 * (at + 1))] if at + 1 < count else []
        opcode, registers, offset, immediate = abi.INSTRUCTION.unpack_from(code, 8 * at)
        if _blank(opcode, registers, offset, immediate, following)[0] != kind:
            raise BlankError(f"no {kind} at {at}")
        if kind == SWITCH and (at + 2 >= count or code[8 * (at + 2)] != _ADD):
            raise BlankError(f"no {kind} at {at}")
        before = at + (kind in _WIDE) + (kind == SWITCH)


def fill(
    code: bytes, blanks: Iterable[Blank], maps: Mapping[str, int], values: Values, switches: Mapping[str, Switch]
) -> bytes:
    """The program for one kernel; ``maps``: {name: descriptor}. BlankError where something is not known."""
    filled = bytearray(code)
    made: list[tuple[int, bytes]] = []
    for at, kind, name in blanks:
        opcode, registers, offset, immediate = abi.INSTRUCTION.unpack_from(filled, at * 8)
        try:
            if kind == MAP:
                immediate = maps[name]
            elif kind == VALUE:
                registers, immediate = _MAP_VALUE << 4 | registers, maps[name]
                struct.pack_into("<I", filled, at * 8 + 12, 0)
            elif kind == SWITCH:
                made.append((at, _comparisons(switches[name], registers & 15, filled[at * 8 + 17] >> 4)))
                continue
            elif kind == CONSTANT:
                value = (values[name] or 0) & (1 << 64) - 1
                struct.pack_into("<I", filled, at * 8 + 4, value & 0xFFFFFFFF)
                struct.pack_into("<I", filled, at * 8 + 12, value >> 32)
                continue
            elif kind == OFFSET:
                immediate = values[name] or 0
            elif kind == LOAD:
                found = values[name]
                if found is None:
                    opcode, registers, offset = _MOVE_NUMBER, registers & 15, 0
                else:
                    offset = found
            elif not values[name]:  # SWAP, FUNCTION: never reached then
                opcode, registers, offset, immediate = _MOVE_NUMBER, 0, 0, 0
            elif kind == FUNCTION:
                registers, immediate = _KERNEL_FUNCTION << 4, values[name] or 0
            abi.INSTRUCTION.pack_into(filled, at * 8, opcode, registers, offset, immediate)
        except (KeyError, struct.error):
            raise BlankError(f"nothing to fill in for {kind} {name}") from None
    return _expanded(bytes(filled), made) if made else bytes(filled)


def without_descriptors(code: bytes, blanks: Iterable[Blank]) -> bytes:
    """The program with 0 in place of the descriptors it was compiled with."""
    plain = bytearray(code)
    for at, kind, _ in blanks:
        if kind == MAP:
            struct.pack_into("<i", plain, at * 8 + 4, 0)
    return bytes(plain)


class _Assembler:
    """Collects instructions; jumps go to labels that are placed later."""

    def __init__(self) -> None:
        self.code: list[tuple[int, int, int, int]] = []
        self._jumps: list[tuple[int, str]] = []
        self._labels: dict[str, int] = {}

    def add(self, opcode: int, registers: int, immediate: int = 0, to: str = "") -> None:
        if to:
            self._jumps.append((len(self.code), to))
        self.code.append((opcode, registers, 0, immediate))

    def label(self, name: str) -> None:
        self._labels[name] = len(self.code)

    def done(self) -> bytes:
        for at, name in self._jumps:
            opcode, registers, _, immediate = self.code[at]
            self.code[at] = (opcode, registers, self._labels[name] - at - 1, immediate)
        return b"".join(abi.INSTRUCTION.pack(*instruction) for instruction in self.code)


def _comparisons(table: Switch, into: int, value: int) -> bytes:
    """Instructions that leave in register ``into`` what the table says of register ``value``."""
    if not table.rows:
        return abi.INSTRUCTION.pack(_MOVE_NUMBER, into, 0, table.default)
    made = _Assembler()
    low, high = struct.unpack("<ii", (-table.base & (1 << 64) - 1).to_bytes(8, "little"))
    made.add(abi.LD_IMM64, into, low)
    made.add(0, 0, high)
    made.add(_ADD, value << 4 | into)
    # What is in no range at all, nearly everything, is through here.
    made.add(_JUMP_IF_AT_LEAST, into, table.span, to="default")
    if table.in_loop:
        _chain(made, into, table)
    else:
        _tree(made, into, table.rows)
    made.label("default")
    made.add(_MOVE_NUMBER, into, table.default)
    made.label("end")
    return made.done()


def _tree(made: _Assembler, into: int, rows: Sequence[tuple[int, int]]) -> None:
    if len(rows) == 1:
        made.add(_MOVE_NUMBER, into, rows[0][1])
        made.add(_JUMP, 0, to="end")
        return
    middle = len(rows) // 2
    upper = f"from {rows[middle][0]}"
    made.add(_JUMP_IF_AT_LEAST, into, rows[middle][0], to=upper)
    _tree(made, into, rows[:middle])
    made.label(upper)
    _tree(made, into, rows[middle:])


def _chain(made: _Assembler, into: int, table: Switch) -> None:
    ends = (*(start for start, _ in table.rows[1:]), table.span)
    ranges = [(start, end, value) for (start, value), end in zip(table.rows, ends) if value != table.default]
    at = 0
    for start, end, value in ranges:
        if start != at:
            made.add(_ADD_NUMBER, into, at - start)
        made.add(_JUMP_IF_LESS, into, end - start, to=f"value {value}")
        at = start
    made.add(_JUMP, 0, to="default")
    for value in dict.fromkeys(value for _, _, value in ranges):
        made.label(f"value {value}")
        made.add(_MOVE_NUMBER, into, value)
        made.add(_JUMP, 0, to="end")


_SWITCH_SLOTS = 3  # instructions that a switch's blank takes: ld_imm64 counts twice


def _expanded(code: bytes, made: list[tuple[int, bytes]]) -> bytes:
    """``code`` with instructions put in the place of switches, and every jump across them made longer."""
    moved, shift, parts, before = [], 0, [], 0
    places = dict(made)
    at = 0
    while at < len(code) // 8:
        moved.append(at + shift)
        if at in places:
            parts += [code[before * 8 : at * 8], places[at]]
            before = at + _SWITCH_SLOTS
            moved += [at + shift] * (_SWITCH_SLOTS - 1)
            shift += len(places[at]) // 8 - _SWITCH_SLOTS
            at += _SWITCH_SLOTS
        else:
            at += 1
    moved.append(at + shift)
    longer = bytearray(b"".join([*parts, code[before * 8 :]]))
    wide = False
    for at, (opcode, _, offset, _) in enumerate(abi.INSTRUCTION.iter_unpack(code)):
        if wide:
            wide = False
        elif opcode == abi.LD_IMM64:
            wide = True
        elif opcode & 7 in _JUMP_CLASSES and opcode not in (_CALL, _EXIT):
            target = at + 1 + offset
            if not 0 <= target < len(moved):
                raise BlankError(f"a jump at {at} leaves the program")
            struct.pack_into("<h", longer, moved[at] * 8 + 2, moved[target] - moved[at] - 1)
    return bytes(longer)
