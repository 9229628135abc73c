# SPDX-License-Identifier: MIT
"""What leak.py and load.py have in common: memory, and programs that run under names of their own."""

from __future__ import annotations

import ctypes
import mmap
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping

PAGE = mmap.PAGESIZE
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


def run(file: str, programs: Mapping[str, Callable[[float], None]], started: Iterable[str]) -> None:
    """The command line of ``file``: SECONDS runs those that are ``started``, SECONDS NAME one of the programs, under its
    name, so that the processes are told apart. A program is called with the time.monotonic() at which it ends."""
    seconds, *name = sys.argv[1:]
    if name:
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name[0].encode(), 0, 0, 0)
        programs[name[0]](time.monotonic() + float(seconds))
        return
    for one in [subprocess.Popen([sys.executable, file, seconds, program]) for program in started]:
        one.wait()
