# SPDX-License-Identifier: MIT
"""Programs that leak anon_vmas and chains in a known way. ``leaking.py KIND COUNT``: prints "ready", waits for a line,
leaks, prints "done" (and the pid of the process that it was, where that is another), and keeps what it has until its
input ends.

- mappings: maps COUNT pages that share nothing, and touches them
- splits: cuts one touched mapping into COUNT parts
- server: forks COUNT children that do not end
- pedigree: forks a child, which forks the next, COUNT generations; none ends
- moves: moves COUNT pages out of one touched mapping, each to a place of its own
- files: writes to COUNT pages of a file, each mapped privately by itself
- threads: starts COUNT threads that do not end, each with a stack
- helper: a child, there before, forks COUNT children that do not end
- execs: starts COUNT programs that do not end
- worker: one of seven children leaks mappings; meanwhile the others are replaced, again and again
- daemon: so does a process that two forks have taken away from its parents
- crowd: forks COUNT processes that have no parent left but the reaper of orphans, in the cgroup of the third argument
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable

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


def moves(count: int) -> None:
    """Every second page: its neighbours stay. MREMAP_MAYMOVE | MREMAP_FIXED into a hole with guards."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = libc.mremap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
    libc.mremap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p)
    holes = libc.mmap(None, (2 * count + 1) * PAGE, 0, _ALONE, -1, 0)
    begin = ctypes.addressof(ctypes.c_char.from_buffer(kept[0]))
    for page in range(count):
        to = holes + (2 * page + 1) * PAGE
        if libc.mremap(begin + 2 * page * PAGE, PAGE, PAGE, 3, to) != to:
            raise OSError(ctypes.get_errno(), "mremap")


def files(count: int) -> None:
    """Every second page of the file, so that no two mappings can become one."""
    with tempfile.TemporaryFile() as file:
        file.truncate(2 * count * PAGE)
        for page in range(count):
            one = mmap.mmap(file.fileno(), PAGE, flags=mmap.MAP_PRIVATE, offset=2 * page * PAGE)
            one[0] = 1
            kept.append(one)


def threads(count: int) -> None:
    threading.stack_size(1 << 20)
    ended, there = threading.Event(), threading.Barrier(count + 1)

    def stay() -> None:
        there.wait()
        ended.wait()

    for _ in range(count):
        threading.Thread(target=stay, daemon=True).start()
    there.wait()


def in_child(work: Callable[[], None]) -> int:
    """``work`` in a child that then stays; its pid, when the work is done."""
    come = os.pipe()
    pid = os.fork()
    if pid == 0:
        work()
        os.write(come[1], b".")
        wait_for_the_end()
    os.read(come[0], 1)
    return pid


def execs(count: int) -> None:
    for _ in range(count):
        subprocess.Popen(["cat"], stdin=ALIVE[0], close_fds=True)


class Child:
    """A child, there before it does ``leaks``."""

    def __init__(self, leaks: Callable[[int], None], count: int) -> None:
        self._go, self._gone = os.pipe(), os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.read(self._go[0], 1)
            leaks(count)
            os.write(self._gone[1], b".")
            wait_for_the_end()

    def leak(self, _count: int) -> int:
        os.write(self._go[1], b".")
        os.read(self._gone[0], 1)
        return self._pid


class Workers:
    """Seven children of a server."""

    def __init__(self, count: int) -> None:
        self._others = [in_child(lambda: None) for _ in range(6)]
        self._child = Child(mappings, count)

    def leak(self, count: int) -> int:
        pid = self._child.leak(count)
        for _ in range(5):
            for other in self._others:
                os.kill(other, signal.SIGKILL)
                os.waitpid(other, 0)
            self._others = [in_child(lambda: None) for _ in range(6)]
        return pid


def daemon(count: int) -> int:
    told = os.pipe()

    def leave() -> None:
        os.setsid()
        if os.fork() == 0:
            mappings(count)
            os.write(told[1], str(os.getpid()).encode())
            wait_for_the_end()
        os._exit(0)

    middle = os.fork()
    if middle == 0:
        leave()
    os.waitpid(middle, 0)
    return int(os.read(told[0], 20))


def wait_for_the_end() -> None:
    """Until the pipe of the first process closes."""
    with contextlib.suppress(OSError):  # its parent may have closed it already
        os.close(ALIVE[1])
    os.read(ALIVE[0], 1)
    os._exit(0)


def server(count: int) -> None:
    for _ in range(count):
        if os.fork() == 0:
            wait_for_the_end()


def pedigree(count: int) -> None:
    """Each child tells the pipe when it is there."""
    come = os.pipe()
    if os.fork() == 0:
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


KINDS: dict[str, Callable[[int], int | None]] = {
    "mappings": mappings,
    "splits": splits,
    "moves": moves,
    "files": files,
    "threads": threads,
    "server": server,
    "pedigree": pedigree,
    "execs": execs,
    "daemon": daemon,
    "crowd": crowd,
}
# Those that have children before they leak.
BEFORE: dict[str, Callable[[int], Callable[[int], int]]] = {
    "helper": lambda count: Child(server, count).leak,
    "worker": lambda count: Workers(count).leak,
}


if __name__ == "__main__":
    kind, number = sys.argv[1], int(sys.argv[2])
    ALIVE = os.pipe()
    if "LEAKING_NAME" in os.environ:
        ctypes.CDLL(None).prctl(15, os.environ["LEAKING_NAME"].encode())  # PR_SET_NAME
    if kind in ("splits", "moves"):
        touched(2 * number if kind == "moves" else number)
    if kind in ("server", "helper", "pedigree"):
        for _ in range(23):
            touched(1)
    leak = BEFORE[kind](number) if kind in BEFORE else KINDS[kind]
    print("ready", flush=True)
    sys.stdin.readline()
    other = leak(number)
    print("done" if other is None else f"done {other}", flush=True)
    sys.stdin.readline()
