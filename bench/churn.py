# SPDX-License-Identifier: MIT
"""The load of bench/soak_self.py: processes, threads, cgroups and mappings that come and go, each of them counted.

``python bench/churn.py SECONDS FILE EVERY``: FILE gets, as JSON, its pid, the forks of it and of all its descendants, and
its own. It waits at the end, so that whoever looks every so many seconds sees the final counts; between two beats it
rests in proportion. Stands alone: nothing is imported that maps memory of its own accord.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
import threading
import time
from pathlib import Path

BEAT = 0.2  # of EVERY
ISLANDS = 23
STILL = 5.0  # of EVERY, at the end, in which it does nothing
CGROUP = Path("/sys/fs/cgroup/unified" if os.path.isdir("/sys/fs/cgroup/unified") else "/sys/fs/cgroup")


def islands(count: int) -> list[mmap.mmap]:
    """Private pages, each written to; every second one is given back, so that neighbours do not merge."""
    pages = [mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) for _ in range(2 * count)]
    for page in pages:
        page[0] = 1
    for page in pages[::2]:
        page.close()
    return pages[1::2]


def family(cgroup: Path | None) -> None:
    """A child, in the cgroup, that maps memory and has a child which changes it: two forks, one of them ours."""
    pid = os.fork()
    if pid == 0:
        if cgroup is not None:
            (cgroup / "cgroup.procs").write_text("0")
        kept = islands(ISLANDS)
        grandchild = os.fork()
        if grandchild == 0:
            kept[0][0] = 2
            os._exit(0)
        os.waitpid(grandchild, 0)
        os._exit(0)
    os.waitpid(pid, 0)


def program() -> None:
    """One fork, which shares the address space until the program is executed."""
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)


def new_cgroup(number: int) -> Path | None:
    path = CGROUP / f"lazyobs-churn-{os.getpid()}-{number}"
    try:
        path.mkdir()
    except OSError:
        return None  # not ours to make here
    return path


def remove(path: Path) -> None:
    for _ in range(1000):
        try:
            path.rmdir()
            return
        except OSError:  # a process that has ended is not quite gone
            time.sleep(0.01)


def main(seconds: float, report: Path, every: float) -> None:
    ends = time.monotonic() + seconds
    beats = cgroups = 0
    while time.monotonic() < ends:
        cgroup = new_cgroup(beats)
        family(cgroup)
        family(None)
        program()
        thread = threading.Thread(target=islands, args=(ISLANDS,))
        thread.start()
        thread.join()
        if cgroup is not None:
            remove(cgroup)
            cgroups += 1
        beats += 1
        time.sleep(BEAT * every)
    told = {"pid": os.getpid(), "forks": 5 * beats, "own_forks": 3 * beats, "cgroups": cgroups, "threads": beats}
    report.write_text(json.dumps(told))
    time.sleep(STILL * every)


if __name__ == "__main__":
    main(float(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
