# SPDX-License-Identifier: MIT
"""What the example ``leak`` shows: a machine on which one program keeps what it maps.

- a web server: a parent with 211 private VMAs and 11 children, one of which is replaced every second
- jobs: a process that starts a short program again and again
- a cache: 101 pages more every quarter of a second, each in a mapping of its own, once /tmp/leak is there

Each is this program under a name of its own, so that the processes are told apart. It runs for as many seconds as its
first argument says.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import time

from programs import islands, run

CHILDREN, VMAS, KEPT = 11, 211, 101
SIGN = "/tmp/leak"


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


if __name__ == "__main__":
    run(__file__, PROGRAMS, PROGRAMS)
