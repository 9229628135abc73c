# SPDX-License-Identifier: MIT
"""System calls that libc does not wrap everywhere, by name: one table of their numbers on each machine.

The numbers are those of the kernel's tables (arch/*/kernel/syscalls/syscall*.tbl, and scripts/syscall.tbl or
include/uapi/asm-generic/unistd.h for arm64 and riscv). Calls added since 5.1 have one number on all machines.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os

MACHINES = ("x86_64", "aarch64", "riscv64", "ppc64le", "s390x")  # as uname(2) has it

# call: its number on each of MACHINES, or the one number of all machines.
_NUMBERS: dict[str, tuple[int, int, int, int, int] | int] = {
    "bpf": (321, 280, 280, 361, 351),
    "membarrier": (324, 283, 283, 365, 356),
    "migrate_pages": (256, 238, 238, 258, 287),
    "move_pages": (279, 239, 239, 301, 310),
    "perf_event_open": (298, 241, 241, 319, 331),
    "sched_getaffinity": (204, 123, 123, 223, 240),
    "socket": (41, 198, 198, 326, 359),
    "userfaultfd": (323, 282, 282, 364, 355),
    "vmsplice": (278, 75, 75, 285, 309),
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "process_madvise": 440,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}

# Errors that the kernel gives out although they are its own (include/linux/errno.h): libc has no word for them.
_KERNELS_OWN = {
    512: "ERESTARTSYS: interrupted",
    517: "EPROBE_DEFER: not ready yet",
    524: "ENOTSUPP: this kernel does not support it",
}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


@functools.cache
def number(call: str, machine: str = os.uname().machine) -> int:
    """Number of a system call of the table. OSError(ENOSYS) on a machine that the table does not know."""
    numbers = _NUMBERS[call]
    if isinstance(numbers, int):
        return numbers
    if machine not in MACHINES:
        known = ", ".join(MACHINES)
        raise OSError(errno.ENOSYS, f"{call}(2) has no known number on {machine} (known: {known})")
    return numbers[MACHINES.index(machine)]


def call(name: str, *arguments: object) -> int:
    """Result of the system call ``name``. OSError with the kernel's errno, and as ``number`` on an unknown machine.

    An int is passed as a C long; None is a null pointer; ctypes arrays and ``byref()`` are passed as addresses.
    """
    words = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result: int = _libc.syscall(ctypes.c_long(number(name)), *words)
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, reason(error))
    return result


def reason(error: int) -> str:
    """What an errno means: as os.strerror(), with a word for those that only the kernel knows."""
    return _KERNELS_OWN.get(error) or os.strerror(error)
