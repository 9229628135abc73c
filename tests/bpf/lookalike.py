# SPDX-License-Identifier: MIT
"""An object that looks like a root anon_vma, and runs of the probes on an address of choice."""

from __future__ import annotations

import ctypes
import struct

from lazyobs.bpf import abi

_PSEUDO_MAP_VALUE = 2
LOCK_WRITE = 4  # LCB_F_WRITE


def lookalike(size: int, at: int) -> tuple[int, list[int]]:
    """(address, descriptors that hold it) of an object in a BPF map whose first word points to the object itself, as
    the root of a family does. ``size``: bytes of the map, large ones are not from a slab; ``at``: offset in it."""
    map_fd = abi.map_create(abi.MAP_TYPE_ARRAY, 4, size, 1, 0, "lookalike")
    code = b"".join(
        (
            abi.INSTRUCTION.pack(abi.LD_IMM64, _PSEUDO_MAP_VALUE << 4 | 1, 0, map_fd),  # r1 = the value
            abi.INSTRUCTION.pack(0, 0, 0, at),
            abi.INSTRUCTION.pack(0xBF, 1 << 4 | 2, 0, 0),  # r2 = r1
            abi.INSTRUCTION.pack(0x7B, 2 << 4 | 1, 0, 0),  # *r1 = r2
            abi.RETURN_0,
        )
    )
    prog_fd, log = abi.prog_load(abi.PROG_TYPE_RAW_TRACEPOINT, code, "lookalike", log_size=1 << 16)
    assert prog_fd >= 0, log
    run_once(prog_fd)
    (address,) = struct.unpack_from("=Q", abi.map_lookup(map_fd, bytes(4), size), at)
    return address, [map_fd, prog_fd]


def run_once(prog_fd: int, *arguments: int) -> None:
    """One run of a raw tracepoint program by BPF_PROG_TEST_RUN (5.10)."""
    context = (ctypes.c_uint64 * 12)(*arguments)
    abi.bpf(
        abi.PROG_TEST_RUN,
        abi.attributes(
            "IIIIQQ IIII QQ III",
            prog_fd,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            ctypes.sizeof(context),
            0,
            ctypes.addressof(context),
            0,
            0,
            0,
            0,
        ),
    )
