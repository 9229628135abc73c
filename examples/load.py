# SPDX-License-Identifier: MIT
"""A load as on a server, for the examples stock-7.3 and lazy-7.3; the same in every boot.

- web: a parent with 307 private VMAs and 7 workers, which write to a part of what they inherit; every 11 s one has had
  its share of requests, and is replaced
- jobs: a fork server of Python, which every 3 s forks a child that imports, works and ends
- database: 2,000 private VMAs, and every 61 s a child that writes a snapshot while the parent goes on
- starts: every 5 s a program that starts and ends

Each runs under a name of its own, until the number of seconds that is its first argument is over.
"""

from __future__ import annotations

import mmap
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable

from programs import islands, run

WORKERS, WEB_VMAS, WRITTEN = 7, 307, 101
DATABASE_VMAS, CHANGED = 2000, 211
JOB_VMAS = 53


def write(pages: list[mmap.mmap]) -> None:
    for page in pages:
        page[0] = 2


def forked(work: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return pid


def until(end: float, every: float, work: Callable[[], object]) -> None:
    """Works on a fixed beat, so that each boot does it as often."""
    due = time.monotonic() + every
    while due < end:
        time.sleep(max(0.0, due - time.monotonic()))
        work()
        due += every


def web(end: float) -> None:
    kept = islands(WEB_VMAS)[::2]

    def serve() -> None:
        write(kept[:WRITTEN])
        own = islands(WRITTEN)
        time.sleep(1e6)
        write(own[::2])

    workers = [forked(serve) for _ in range(WORKERS)]

    def replace() -> None:
        oldest = workers.pop(0)
        os.kill(oldest, signal.SIGKILL)
        os.waitpid(oldest, 0)
        workers.append(forked(serve))

    until(end, 11, replace)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def jobs(end: float) -> None:
    import decimal
    import json

    def job() -> None:
        own = islands(JOB_VMAS)
        json.dumps({str(number): str(decimal.Decimal(number).sqrt()) for number in range(101)})
        write(own[::2])

    until(end, 3, lambda: os.waitpid(forked(job), 0))


def database(end: float) -> None:
    table = islands(DATABASE_VMAS)
    chosen = random.Random(211)  # noqa: S311

    def change() -> None:
        write(chosen.sample(table[::2], CHANGED))

    def snapshot() -> None:
        pid = forked(lambda: [page[0] for page in table] and time.sleep(1))
        change()
        os.waitpid(pid, 0)

    until(end, 61, snapshot)


def starts(end: float) -> None:
    until(end, 5, lambda: subprocess.run(["/bin/sh", "-c", "/bin/ls / > /dev/null"], check=False))


def forks(end: float) -> None:
    """Only by name: what makes a kernel that loses something in every thousandth fork lose more."""
    until(end, 0.1, lambda: os.waitpid(forked(lambda: None), 0))


STARTED = ("web", "jobs", "database", "starts")
PROGRAMS = {"web": web, "jobs": jobs, "database": database, "starts": starts, "forks": forks}


if __name__ == "__main__":
    run(__file__, PROGRAMS, STARTED)
