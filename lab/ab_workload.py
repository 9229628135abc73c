# SPDX-License-Identifier: MIT
"""The same work in every boot of an A/B.

Processes hold private memory, one has less memory than it needs, and every three seconds there is a round of forks,
maps, page-outs and migrations. Counts are primes, so that a number in a report shows where it comes from.

python3 -m lab.ab_workload SLABINFO RECORDING: runs until SIGTERM. In the 11th round after the directory RECORDING
appears, while the recorder and all of the work are running, it writes the rows of /proc/slabinfo to SLABINFO.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import signal
import sys
import time
from pathlib import Path

from lazyobs.selftest import syscalls

HOLDERS, ISLANDS = 7, 211  # processes, and islands of anonymous memory in each
CHILDREN, INHERITED, OWN = 7, 23, 53  # in a round: forks, pages a child writes of what it inherits, islands it makes
ROUND = 3.0  # seconds
READ = 11  # the round in which slabinfo is read
NEEDED, ALLOWED = 12 << 20, 8 << 20  # bytes that the squeezed process writes, and that its cgroup may have
PAGE, PAGES = mmap.PAGESIZE, 2  # of an island, and as many between two
_CGROUPS = Path("/sys/fs/cgroup")
CACHES = ("anon_vma", "anon_vma_chain", "vm_area_struct")


def islands(count: int) -> list[int]:
    """Addresses of written VMAs, apart by pages that are PROT_NONE, so that none merges with another."""
    sea = syscalls.mmap(count * 2 * PAGES * PAGE, syscalls.PROT_NONE)
    addresses = [sea + number * 2 * PAGES * PAGE for number in range(count)]
    for start in addresses:
        syscalls.mprotect(start, PAGES * PAGE, syscalls.PROT_RW)
        touch(start)
    return addresses


def touch(start: int) -> None:
    for page in range(PAGES):
        ctypes.memset(start + page * PAGE, 1, 1)


def migrate(node: int) -> None:
    """All of this process's pages to one of two NUMA nodes."""
    nodes = [ctypes.c_ulong(1 << (1 - node)), ctypes.c_ulong(1 << node)]
    with contextlib.suppress(OSError):  # pages that cannot move stay where they are
        syscalls.syscall("migrate_pages", 0, 64, *(ctypes.byref(mask) for mask in nodes))


def hold(moving: bool) -> None:
    """Private memory: in every round a part is swapped out and in and, if ``moving``, all of it changes its node."""
    held = islands(ISLANDS)
    number = 0
    while True:
        number += 1
        time.sleep(ROUND)
        for start in held[:INHERITED]:
            syscalls.madvise(start, PAGES * PAGE, "PAGEOUT")
        for start in held[:INHERITED]:
            touch(start)
        if moving:
            migrate(number % 2)


def squeeze() -> None:
    """Writes more than its cgroup may hold in every round: the rest is reclaimed to swap."""
    (_CGROUPS / "cgroup.subtree_control").write_text("+memory")
    group = _CGROUPS / "squeezed"
    group.mkdir()
    (group / "memory.high").write_text(str(ALLOWED))
    (group / "cgroup.procs").write_text(str(os.getpid()))
    memory = mmap.mmap(-1, NEEDED, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    number = 0
    while True:
        for offset in range(0, NEEDED, PAGE):
            memory[offset] = number % 251
        number += 1
        time.sleep(ROUND)


def child(inherited: list[int]) -> None:
    for start in inherited[:INHERITED]:
        touch(start)
    islands(OWN)


def _fork(work: object, *given: object) -> int:
    pid = os.fork()
    if pid == 0:
        work(*given)  # type: ignore[operator]
        os._exit(0)
    return pid


def slabinfo(path: str) -> None:
    """Writes the rows of the three caches, after a shrink."""
    for cache in CACHES:
        Path(f"/sys/kernel/slab/{cache}/shrink").write_text("1")
    rows = Path("/proc/slabinfo").read_text().splitlines()
    Path(path).write_text("".join(row + "\n" for row in rows if row.split()[0] in CACHES))


def main() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    others = [*(_fork(hold, number == 0) for number in range(HOLDERS)), _fork(squeeze)]
    mine = islands(ISLANDS)
    recorded = 0
    while signal.sigtimedwait({signal.SIGTERM}, ROUND) is None:
        for pid in [_fork(child, mine) for _ in range(CHILDREN)]:
            os.waitpid(pid, 0)
        recorded += Path(sys.argv[2]).exists()
        if recorded == READ:
            slabinfo(sys.argv[1])
    for pid in others:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    (_CGROUPS / "squeezed").rmdir()


if __name__ == "__main__":
    main()
