# SPDX-License-Identifier: MIT
"""Memory that a long-running process does not need any more goes back to the kernel."""

from __future__ import annotations

import ctypes
import gc

_M_ARENA_MAX = -8


def settle() -> None:
    """Returns the memory that starting took, and keeps glibc from giving threads arenas of their own."""
    libc = ctypes.CDLL(None)
    gc.collect()
    gc.freeze()
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 1)
    trim()


def trim() -> None:
    """Returns free memory. Does nothing where the C library is not glibc."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
