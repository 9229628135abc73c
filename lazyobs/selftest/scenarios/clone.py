# SPDX-License-Identifier: MIT
"""Processes that share an mm: clone(CLONE_VM), with or without CLONE_VFORK, clones no anon_vma."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator

from lazyobs.selftest.expectations import Count, Expect, events
from lazyobs.selftest.pattern import Bytes
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.stage import Stage
from lazyobs.selftest.syscalls import CLONE_VFORK, CLONE_VM, PAGE, PROT_READ, failed, libc, mprotect

N = 13
# The child runs only uname(2): it writes known bytes to its argument, and its return value becomes the exit
# status. Two Python interpreters could not run in the same memory.
_UTSNAME = 6 * 65


def _run_in_shared_memory(page: int, stack: int, flags: int) -> None:
    uname = ctypes.cast(libc.uname, ctypes.c_void_p)
    pid = libc.clone(uname, ctypes.c_void_p(stack), flags | int(signal.SIGCHLD), ctypes.c_void_p(page))
    if pid < 0:
        raise failed("clone")
    _, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError(f"the child ended with wait status {status:#x}")


def _scenario(stage: Stage, flags: int) -> Iterator[None]:
    islands = stage.memory.islands(N)
    stack = stage.memory.islands(1, 4)
    stage.memory.fill(stack, 4)
    stage.memory.forget(stack, 4)
    buffer = ctypes.create_string_buffer(_UTSNAME)
    libc.uname(buffer)
    yield
    for address in islands:
        _run_in_shared_memory(address, stack[0] + 4 * PAGE, flags)
    stage.memory.expect(islands, 1, Bytes(buffer.raw))
    yield
    stage.memory.fill(islands)
    yield
    for address in islands:
        mprotect(address, PAGE, PROT_READ)
    yield


# The child takes the faults, but the VMAs are prepared for every process that shares the mm.
_SHARED = events(forks=N) + Expect({"vmas_anon": Count(N)}, {"vmas_lazy": Count(N)})
_STEPS = (
    SET_UP,
    Step("children fault for the parent", _SHARED),
    Step("parent writes"),
    Step("parent protects"),
)


@scenario(*_STEPS)
def vfork(stage: Stage) -> Iterator[None]:
    """vfork children (CLONE_VM, CLONE_VFORK) fault in the parent's memory and prepare it for both"""
    return _scenario(stage, CLONE_VM | CLONE_VFORK)


@scenario(*_STEPS)
def clone_vm(stage: Stage) -> Iterator[None]:
    """clone(CLONE_VM) children fault in the parent's memory while the parent runs on"""
    return _scenario(stage, CLONE_VM)
