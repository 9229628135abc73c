# SPDX-License-Identifier: MIT
"""The system calls of the scenarios, straight to libc: the interpreter's lock is dropped in each, so threads race."""

from __future__ import annotations

import ctypes
import os

from lazyobs.unix.syscalls import call

PAGE = os.sysconf("SC_PAGESIZE")
WORD = (1 << 64) - 1

PROT_NONE, PROT_READ, PROT_WRITE, PROT_RW = 0, 1, 2, 3
MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS = 0x1, 0x2, 0x10, 0x20
MAP_GROWSDOWN, MAP_NORESERVE = 0x100, 0x4000
MREMAP_MAYMOVE, MREMAP_FIXED, MREMAP_DONTUNMAP = 1, 2, 4

# include/uapi/asm-generic/mman-common.h
ADVICE = {
    "DONTNEED": 4,
    "FREE": 8,
    "MERGEABLE": 12,
    "UNMERGEABLE": 13,
    "HUGEPAGE": 14,
    "NOHUGEPAGE": 15,
    "COLD": 20,
    "PAGEOUT": 21,
    "COLLAPSE": 25,
    "SOFT_OFFLINE": 101,
}

CLONE_VM, CLONE_VFORK = 0x100, 0x4000

libc = ctypes.CDLL(None, use_errno=True)
_address, _size = ctypes.c_void_p, ctypes.c_size_t
for _name, _result, _arguments in (
    ("mmap", _address, [_address, _size, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_longlong]),
    ("munmap", ctypes.c_int, [_address, _size]),
    ("mprotect", ctypes.c_int, [_address, _size, ctypes.c_int]),
    ("mremap", _address, [_address, _size, _size, ctypes.c_int, _address]),
    ("madvise", ctypes.c_int, [_address, _size, ctypes.c_int]),
    ("memcmp", ctypes.c_int, [_address, _address, _size]),
    ("memcpy", _address, [_address, _address, _size]),
    ("memset", _address, [_address, ctypes.c_int, _size]),
    ("sbrk", _address, [ctypes.c_ssize_t]),
    ("swapon", ctypes.c_int, [ctypes.c_char_p, ctypes.c_int]),
    ("swapoff", ctypes.c_int, [ctypes.c_char_p]),
):
    _function = getattr(libc, _name)
    _function.restype, _function.argtypes = _result, _arguments


def failed(call: str) -> OSError:
    """The error that libc left behind."""
    error = ctypes.get_errno()
    return OSError(error, f"{call}: {os.strerror(error)}")


def mmap(length: int, prot: int = PROT_RW, flags: int = 0, fd: int = -1, at: int = 0, offset: int = 0) -> int:
    """Address of a new private mapping, anonymous where there is no file. OSError as mmap(2)."""
    kind = flags if flags & MAP_SHARED else flags | MAP_PRIVATE
    if fd < 0:
        kind |= MAP_ANONYMOUS
    found: int | None = libc.mmap(at or None, length, prot, kind, fd, offset)
    if found is None or found == WORD:
        raise failed("mmap")
    return found


def munmap(address: int, length: int) -> None:
    if libc.munmap(address, length):
        raise failed("munmap")


def mprotect(address: int, length: int, prot: int) -> None:
    if libc.mprotect(address, length, prot):
        raise failed("mprotect")


def mremap(address: int, old: int, new: int, flags: int, to: int = 0) -> int:
    """New address. OSError as mremap(2)."""
    found: int | None = libc.mremap(address, old, new, flags, to or None)
    if found is None or found == WORD:
        raise failed("mremap")
    return found


def madvise(address: int, length: int, advice: str) -> None:
    """``advice`` is a name in ADVICE."""
    if libc.madvise(address, length, ADVICE[advice]):
        raise failed(f"madvise(MADV_{advice})")


def syscall(name: str, *arguments: object) -> int:
    """As ``unix.syscalls.call``; the error says which call it was."""
    try:
        return call(name, *arguments)
    except OSError as error:
        raise OSError(error.errno, f"{name}: {error.strerror}") from None


def words(page: int) -> list[int]:
    """The 8-byte words of a page, copied at once."""
    copy = (ctypes.c_uint64 * (PAGE // 8))()
    libc.memcpy(copy, page, PAGE)
    return list(copy)
