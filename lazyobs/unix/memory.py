# SPDX-License-Identifier: MIT
"""Memory that a long-running process does not need any more goes back to the kernel."""

from __future__ import annotations

import ctypes
import gc
import mmap
from collections.abc import Iterable, Iterator

_M_ARENA_MAX = -8
# Code; symbols, relocations and constants: the linker reads 10 MB of them in pyarrow's libraries, once.
_READ_ONLY = (b"r-xp", b"r--p")


def one_arena() -> None:
    """Keeps glibc from giving threads arenas of their own, of whose end trim() returns nothing (up to 64 MB each).

    To be called before there are threads: an arena that one has made is used again by others. Libraries make theirs as
    they are imported (pyarrow).
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 1)


def settle() -> None:
    """Returns the memory that starting took."""
    gc.collect()
    gc.freeze()
    one_arena()
    trim()


def trim() -> None:
    """Returns free memory. Does nothing where the C library is not glibc."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def forget_code(smaps: str = "/proc/self/smaps") -> None:
    """Unmaps the pages of program code, symbol tables and constants that only starting needed. Those that are used again
    come back from the page cache. Mappings with pages of their own (relocated, or written to) stay. Does nothing where
    /proc is not mounted."""
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    try:
        with open(smaps, "rb") as file:
            found = list(_code(file))
    except OSError:
        return
    for begin, end in found:
        madvise(begin, end - begin, mmap.MADV_DONTNEED)


def _code(lines: Iterable[bytes]) -> Iterator[tuple[int, int]]:
    """(begin, end) of mappings of program files that cannot be written, and have no page of their own."""
    place: tuple[int, int] | None = None
    for line in lines:
        words = line.split()
        if not words[0].endswith(b":"):
            begin, _, end = words[0].partition(b"-")
            of_file = len(words) == 6 and words[5].startswith(b"/")
            place = (int(begin, 16), int(end, 16)) if words[1] in _READ_ONLY and of_file else None
        elif words[0] == b"Anonymous:" and place is not None and words[1] == b"0":
            yield place
