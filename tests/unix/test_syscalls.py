# SPDX-License-Identifier: MIT
"""The table of system calls, against the headers that this machine's compiler reads."""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import subprocess

import pytest

from lazyobs.unix import syscalls
from tests.harness import skip

CALLS = ("bpf", "io_uring_enter", "io_uring_register", "io_uring_setup", "membarrier", "migrate_pages", "move_pages",
         "perf_event_open", "process_madvise", "socket", "userfaultfd", "vmsplice")  # fmt: skip


def test_numbers_are_those_of_the_headers() -> None:
    if platform.machine() not in syscalls.MACHINES or not shutil.which("gcc"):
        skip("gcc", "the numbers of this machine come from the C library's headers")
    command = ["gcc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", os.devnull]
    macros = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    defined = {name: int(value) for name, value in re.findall(r"^#define __NR_(\w+) (\d+)$", macros, re.MULTILINE)}
    assert {call: syscalls.number(call) for call in CALLS} == {call: defined[call] for call in CALLS}


def test_every_machine_has_a_number_of_its_own_for_each_call() -> None:
    for machine in syscalls.MACHINES:
        assert len({syscalls.number(call, machine) for call in CALLS}) == len(CALLS)


def test_a_machine_without_numbers_is_named() -> None:
    with pytest.raises(
        OSError, match=r"membarrier\(2\) has no known number on mips64 \(known: x86_64, aarch64"
    ) as told:
        syscalls.number("membarrier", "mips64")
    assert told.value.errno == errno.ENOSYS
    assert syscalls.number("process_madvise", "mips64") == 440


def test_a_call_returns_its_result_or_raises_its_error() -> None:
    assert syscalls.call("membarrier", 0, 0, 0) & 1  # MEMBARRIER_CMD_QUERY: MEMBARRIER_CMD_GLOBAL is there
    with pytest.raises(OSError) as told:
        syscalls.call("process_madvise", -1, None, 0, 20, 0)
    assert (told.value.errno, told.value.strerror) == (errno.EBADF, os.strerror(errno.EBADF))
