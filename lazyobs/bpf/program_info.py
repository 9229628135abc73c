# SPDX-License-Identifier: MIT
"""What the kernel says of a loaded program: how often it ran, and how long."""

from __future__ import annotations

import struct

from lazyobs.bpf import abi


def program_stats(fd: int) -> tuple[int, int, int]:
    """(run time ns, runs, recursion misses) of a program; the first two stay 0 unless statistics are on."""
    info = abi.object_info(fd, 232)
    # struct bpf_prog_info: run_time_ns at 192, run_cnt at 200, recursion_misses at 208 (5.12)
    values = [struct.unpack_from("=Q", info, at)[0] if len(info) >= at + 8 else 0 for at in (192, 200, 208)]
    return values[0], values[1], values[2]


def verified_instructions(fd: int) -> int | None:
    """How many instructions the verifier went through to accept a program; None before 5.16, which does not say it."""
    info = abi.object_info(fd, 232)
    # struct bpf_prog_info: verified_insns at 216
    found: int = struct.unpack_from("=I", info, 216)[0] if len(info) >= 220 else 0
    return found or None
