# SPDX-License-Identifier: MIT
"""What the example ``leak`` shows: a machine on which one program keeps what it maps.

- a web server: a parent with 211 private VMAs and 11 children, one of which is replaced every second
- jobs: a process that starts a short program again and again
- a cache: 101 pages more every quarter of a second, each in a mapping of its own, once /tmp/leak is there

Each is this program under a name of its own, so that the processes are told apart. It runs for as many seconds as its
first argument says.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
import time

PAGE = mmap.PAGESIZE
CHILDREN, VMAS, KEPT = 11, 211, 101
SIGN = "/tmp/leak"
_PR_SET_NAME = 15
_ALONE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


def islands(count: int) -> list[mmap.mmap]:
    """Pages that are there, each with a guard beside it that keeps VMAs from being merged."""
    found = []
    for _ in range(count):
        page = mmap.mmap(-1, PAGE, flags=_ALONE)
        page[0] = 1
        found += [page, mmap.mmap(-1, PAGE, flags=_ALONE, prot=mmap.PROT_READ)]
    return found


def web(end: float) -> None:
    kept = islands(VMAS)
    children = [_child(end) for _ in range(CHILDREN)]
    while time.monotonic() < end and kept:
        time.sleep(1)
        oldest = children.pop(0)
        os.kill(oldest, 15)
        os.waitpid(oldest, 0)
        children.append(_child(end))
    for child in children:
        os.kill(child, 15)
        os.waitpid(child, 0)


def _child(end: float) -> int:
    pid = os.fork()
    if pid == 0:
        time.sleep(max(0.0, end + 60 - time.monotonic()))
        os._exit(0)
    return pid


def jobs(end: float) -> None:
    while time.monotonic() < end:
        subprocess.run(["/bin/true"], check=False)
        time.sleep(0.1)


def cache(end: float) -> None:
    kept: list[mmap.mmap] = []
    while not os.path.exists(SIGN):
        time.sleep(0.25)
    while time.monotonic() < end:
        kept += islands(KEPT)
        time.sleep(0.25)


PROGRAMS = {"web": web, "jobs": jobs, "cache": cache}


def main(seconds: str, name: str = "") -> None:
    end = time.monotonic() + float(seconds)
    if name:
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)
        PROGRAMS[name](end)
        return
    started = [subprocess.Popen([sys.executable, __file__, seconds, name]) for name in PROGRAMS]
    for one in started:
        one.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
