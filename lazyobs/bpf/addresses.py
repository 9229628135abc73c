# SPDX-License-Identifier: MIT
"""Kernel addresses in probes: a number when they are compiled, the address when they are loaded.

The kernel's address changes at each boot (KASLR). A compiled program therefore holds a 64-bit placeholder in place of
an address, and the loader overwrites it: one image serves every boot, and a program pays nothing for it.
"""

from __future__ import annotations

import struct

from lazyobs.bpf import abi

_TAG = 0x4C617A79  # upper half of the constant; the lower one is the position in Addresses.values

# ld_imm64 in assembly: the compiler would fold a constant into the expressions around it.
C_ADDRESS = f"""#define ADDRESS(number) ({{ \\
	u64 address_; \\
	asm("%0 = %1 ll" : "=r"(address_) : "i"({_TAG:#x}ULL << 32 | (number))); \\
	address_; \\
}})
"""


class Addresses:
    """Collects the addresses that generated C refers to."""

    def __init__(self) -> None:
        self.values: list[int] = []

    def c(self, address: int) -> str:
        """C for ``address``."""
        if address not in self.values:
            self.values.append(address)
        return f"ADDRESS({self.values.index(address)})"


def references(code: bytes) -> list[tuple[int, int]]:
    """Where ``code`` loads an address: [(instruction index, number)]."""
    found = []
    for index in range(len(code) // 8 - 1):
        opcode, registers, _, low = abi.INSTRUCTION.unpack_from(code, index * 8)
        if opcode == abi.LD_IMM64 and registers >> 4 == 0:
            high = abi.INSTRUCTION.unpack_from(code, index * 8 + 8)[3]
            if high == _TAG:
                found.append((index, low))
    return found


def fill_in(code: bytearray, where: list[tuple[int, int]], values: list[int]) -> None:
    """Writes the addresses over their numbers. IndexError for a number that has no address."""
    for index, number in where:
        struct.pack_into("<I", code, index * 8 + 4, values[number] & 0xFFFFFFFF)
        struct.pack_into("<I", code, index * 8 + 12, values[number] >> 32)
