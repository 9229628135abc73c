# SPDX-License-Identifier: MIT
"""Namespaces of this process: whether they are the initial ones, and how far a time namespace shifts the clocks.

The kernel gives the initial namespaces fixed inode numbers in /proc/PID/ns (PROC_*_INIT_INO in
include/linux/proc_ns.h), which no other namespace gets.
"""

from __future__ import annotations

import os

INITIAL = {
    "cgroup": 0xEFFFFFFB,
    "pid": 0xEFFFFFFC,
    "time": 0xEFFFFFFA,
    "user": 0xEFFFFFFD,
}


def is_initial(kind: str, proc_root: str = "/proc") -> bool:
    """Whether this process is in the initial namespace of that kind, a key of INITIAL.

    True also where that cannot be read: a kernel without such namespaces has the initial one only.
    """
    try:
        return os.stat(f"{proc_root}/self/ns/{kind}").st_ino == INITIAL[kind]
    except OSError:
        return True


def is_mapped(number: int, kind: str = "uid", place: str = "/proc/self") -> bool:
    """Whether the user namespace of this process has that user, or group ("gid"; user_namespaces(7)).

    True also where that cannot be read.
    """
    try:
        with open(f"{place}/{kind}_map", encoding="ascii") as file:
            rows = [[int(word) for word in line.split()] for line in file]
    except (OSError, ValueError):
        return True
    return any(first <= number < first + count for first, _outside, count in rows)


def boottime_shift(proc_root: str = "/proc") -> int:
    """What the time namespace adds to CLOCK_BOOTTIME, in ns; 0 in the initial one (time_namespaces(7), 5.6)."""
    if is_initial("time", proc_root):
        return 0
    try:
        with open(f"{proc_root}/self/timens_offsets", encoding="ascii") as file:
            rows = [line.split() for line in file]
    except OSError:
        return 0
    return sum(int(row[1]) * 1_000_000_000 + int(row[2]) for row in rows if row[0] in ("boottime", "7"))
