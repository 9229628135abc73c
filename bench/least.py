# SPDX-License-Identifier: MIT
"""The least that a tool costs which counts anon_vmas and chains by process: its programs do nothing else.

Two hand-made programs, on the tracepoints of allocations and frees: a comparison of the call site with one range, a
lookup in a per-CPU hash by the process's id, and an addition. No cause, no histogram, no event, no end of a process.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable, Iterator

from bench.program_time import attach_raw
from lazyobs.bpf import abi, sites
from lazyobs.bpf.maps import possible_cpus
from lazyobs.kernel.kallsyms import Kallsyms

_PERCPU_HASH, _PROCESSES = 5, 16384
_LOOKUP, _UPDATE, _PID_TGID = 1, 2, 14  # helpers
_instruction = abi.INSTRUCTION.pack


@contextlib.contextmanager
def least_programs() -> Iterator[Callable[[int], int]]:
    """Attached meanwhile. A function that gives the objects that a process (tgid) has allocated and freed."""
    kallsyms = Kallsyms.read(sites.FUNCTIONS)
    names = [name for site in sites.SITES if site.allocates or site.frees for name in site.functions]
    parts = [part for name in names for part in kallsyms.plain(name)]
    with contextlib.ExitStack() as attached:
        counts = abi.map_create(_PERCPU_HASH, 8, 8, _PROCESSES, 0, "least")
        attached.callback(os.close, counts)
        code = _program(counts, min(part.start for part in parts), max(part.end for part in parts))
        for tracepoint in ("kmem_cache_alloc", "kmem_cache_free"):
            attached.enter_context(attach_raw(code, "least", tracepoint))

        def count(tgid: int) -> int:
            return sum(memoryview(abi.map_lookup(counts, struct.pack("=Q", tgid), 8 * possible_cpus())).cast("Q"))

        yield count


def _program(counts: int, low: int, high: int) -> bytes:
    """Counts calls from an address above ``low`` and up to ``high`` in the map ``counts``, by process."""
    to_key = _instruction(0xBF, 0xA2, 0, 0) + _instruction(0x07, 2, 0, -8)  # r2 = r10 - 8
    the_map = _constant(1, counts, abi.PSEUDO_MAP_FD)
    add = _instruction(0x79, 0x01, 0, 0) + _instruction(0x07, 1, 0, 1) + _instruction(0x7B, 0x10, 0, 0)  # ++*(u64 *)r0
    add += abi.RETURN_0
    begin = _instruction(0x7A, 10, -16, 1)  # *(u64 *)(r10 - 16) = 1
    begin += the_map + to_key + _instruction(0xBF, 0xA3, 0, 0) + _instruction(0x07, 3, 0, -16)  # r3 = r10 - 16
    begin += _instruction(0xB7, 4, 0, 0) + _instruction(0x85, 0, 0, _UPDATE)
    found = _instruction(0x85, 0, 0, _PID_TGID) + _instruction(0x77, 0, 0, 32) + _instruction(0x7B, 0x0A, -8, 0)
    found += the_map + to_key + _instruction(0x85, 0, 0, _LOOKUP)
    found += _instruction(0x15, 0, _length(add), 0) + add + begin  # if r0 == 0, to begin
    above = _constant(2, high) + _instruction(0x2D, 0x21, _length(found), 0)  # if r1 > r2, to the end
    below = _constant(2, low) + _instruction(0xBD, 0x21, _length(above + found), 0)  # if r1 <= r2, to the end
    return _instruction(0x79, 0x11, 0, 0) + below + above + found + abi.RETURN_0  # r1 = call_site


def _length(code: bytes) -> int:
    """In instructions."""
    return len(code) // abi.INSTRUCTION.size


def _constant(register: int, value: int, kind: int = 0) -> bytes:
    """64 bits into a register, by an instruction of two halves; ``kind``: what they mean."""
    low, high = struct.unpack("=ii", struct.pack("=Q", value))
    return _instruction(abi.LD_IMM64, kind << 4 | register, 0, low) + _instruction(0, 0, 0, high)
