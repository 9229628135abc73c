# SPDX-License-Identifier: MIT
"""Programs that leak anon_vmas and chains in a known way. ``leaking.py KIND COUNT``: prints "ready", waits for a line,
leaks, prints "done", and keeps what it has until its input ends.

- mappings: maps COUNT pages that share nothing, and touches them
- splits: cuts one touched mapping into COUNT parts
- server: forks COUNT children that do not end
- pedigree: forks a child, which forks the next, COUNT generations; none ends
- crowd: forks COUNT processes that have no parent left but the reaper of orphans, in the cgroup of the third argument
"""

from __future__ import annotations

import mmap
import os
import sys

PAGE = mmap.PAGESIZE
_ALONE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
kept: list[mmap.mmap] = []


def touched(pages: int) -> mmap.mmap:
    """A mapping whose pages are there. A guard page beside it keeps the next from sharing its anon_vma."""
    found = mmap.mmap(-1, pages * PAGE, flags=_ALONE)
    kept.append(found)
    for page in range(pages):
        found[page * PAGE] = 1
    kept.append(mmap.mmap(-1, PAGE, flags=_ALONE, prot=mmap.PROT_READ))
    return found


def mappings(count: int) -> None:
    for _ in range(count):
        touched(1)


def splits(count: int) -> None:
    for page in range(1, count, 2):
        kept[0].madvise(mmap.MADV_DONTFORK, page * PAGE, PAGE)


def wait_for_the_end() -> None:
    """Until the pipe of the first process closes."""
    os.read(ALIVE[0], 1)
    os._exit(0)


def server(count: int) -> None:
    for _ in range(count):
        if os.fork() == 0:
            os.close(ALIVE[1])
            wait_for_the_end()


def pedigree(count: int) -> None:
    """Each child tells the pipe when it is there."""
    come = os.pipe()
    if os.fork() == 0:
        os.close(ALIVE[1])
        for _ in range(count - 1):
            touch_again()
            if os.fork():
                wait_for_the_end()
        os.write(come[1], b".")
        wait_for_the_end()
    os.read(come[0], 1)


def touch_again() -> None:
    """A child's write gives the VMA an anon_vma of its own, which the next generation inherits."""
    for one in kept[::2]:
        one[0] = 2


def crowd(count: int) -> None:
    come = os.pipe()
    for _ in range(count):
        middle = os.fork()
        if middle == 0:
            if os.fork() == 0:
                os.close(ALIVE[1])
                with open(f"{sys.argv[3]}/cgroup.procs", "w") as file:
                    file.write(str(os.getpid()))
                touched(1)
                os.write(come[1], b".")
                wait_for_the_end()
            os._exit(0)
        os.waitpid(middle, 0)
    for _ in range(count):
        os.read(come[0], 1)


if __name__ == "__main__":
    kind, number = sys.argv[1], int(sys.argv[2])
    ALIVE = os.pipe()
    if kind == "splits":
        touched(number)
    if kind in ("server", "pedigree"):
        for _ in range(23):
            touched(1)
    print("ready", flush=True)
    sys.stdin.readline()
    {"mappings": mappings, "splits": splits, "server": server, "pedigree": pedigree, "crowd": crowd}[kind](number)
    print("done", flush=True)
    sys.stdin.readline()
