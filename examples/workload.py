# SPDX-License-Identifier: MIT
"""What the example recordings show: private memory, part of which is shared, split and moved.

Each of 11 rounds maps 53 islands of anonymous memory and writes to them; the round's children (as many as
its number) inherit them; some islands are split by mprotect(2) and moved by mremap(2). While the children
live, pages of some are moved to the other NUMA node, where there is one: each takes a walk to its every mapping, and another back.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import time

ROUNDS, ISLANDS, PAGE = 11, 53, mmap.PAGESIZE
PAGES = 3  # of an island, and as many between two
MOVED = 5  # islands whose pages go to the other node
_NONE, _READ, _WRITE, _PRIVATE, _ANONYMOUS, _MAYMOVE = 0, 1, 2, 2, 0x20, 1
_MOVE_PAGES, _MOVE_ALL = 279, 4  # system call of x86-64, flag: shared pages too
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = _libc.mremap.restype = ctypes.c_void_p


def _size(pages: int) -> ctypes.c_size_t:
    return ctypes.c_size_t(pages * PAGE)


def _protect(start: int, pages: int, protection: int) -> None:
    _libc.mprotect(ctypes.c_void_p(start), _size(pages), protection)


def islands() -> list[int]:
    """Addresses of pages that are written to, each between pages that cannot be: no VMA merges with another."""
    sea: int = _libc.mmap(None, _size(ISLANDS * 2 * PAGES), _NONE, _PRIVATE | _ANONYMOUS, -1, ctypes.c_long(0))
    found = [sea + number * 2 * PAGES * PAGE for number in range(ISLANDS)]
    for start in found:
        _protect(start, PAGES, _READ | _WRITE)
        for page in range(PAGES):
            ctypes.memset(start + page * PAGE, 1, 1)
    return found


def to_node(node: int, starts: list[int]) -> None:
    """Moves the pages of the islands. Nothing happens to those that are there, and on a machine without that node."""
    pages = [start + page * PAGE for start in starts for page in range(PAGES)]
    count = len(pages)
    addresses, nodes = (ctypes.c_void_p * count)(*pages), (ctypes.c_int * count)(*[node] * count)
    status = (ctypes.c_int * count)()
    _libc.syscall(_MOVE_PAGES, 0, ctypes.c_ulong(count), addresses, nodes, status, _MOVE_ALL)


def main() -> None:
    for round_ in range(1, ROUNDS + 1):
        found = islands()
        for start in found[:7]:  # the middle page becomes read-only: three VMAs out of one
            _protect(start + PAGE, 1, _READ)
        for start in found[7:12]:  # there is no room to grow: it moves
            _libc.mremap(ctypes.c_void_p(start), _size(PAGES), _size(7), _MAYMOVE)
        time.sleep(0.3)
        children = []
        for _ in range(round_):
            pid = os.fork()
            if pid == 0:
                time.sleep(0.2)
                os._exit(0)
            children.append(pid)
        to_node(round_ % 2, found[12 : 12 + MOVED])
        to_node(1 - round_ % 2, found[12 : 12 + MOVED])
        for pid in children:
            os.waitpid(pid, 0)
        time.sleep(0.3)
        if round_ % 2:
            for start in found[12:]:
                _libc.munmap(ctypes.c_void_p(start), _size(PAGES))


if __name__ == "__main__":
    main()
