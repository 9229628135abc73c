# SPDX-License-Identifier: MIT
"""What a process holds: memory, descriptors, threads, and BPF objects by the ids that the kernel never gives twice."""

from __future__ import annotations

import errno
import os
import re
import time
from pathlib import Path

import psutil

from lazyobs.bpf import abi

KINDS = ("prog", "map", "link")
_GET_FD_BY_ID = {"prog": 13, "map": 14, "link": 30}  # enum bpf_cmd
_ID = re.compile(r"^(prog|map|link)_id:\s+(\d+)$", re.MULTILINE)
Object = tuple[str, int]  # kind, id


def held(pid: int) -> tuple[dict[str, float], set[Object]]:
    """Figures of a process, memory in bytes, and the BPF objects that its descriptors are of."""
    root = Path(f"/proc/{pid}")
    found = re.findall(r"^(Rss|Pss):\s+(\d+) kB", (root / "smaps_rollup").read_text(), re.MULTILINE)
    figures: dict[str, float] = {name.lower(): int(size) * 1024 for name, size in found}
    objects: set[Object] = set()
    descriptors = os.listdir(root / "fdinfo")
    for descriptor in descriptors:
        try:
            objects |= {(kind, int(number)) for kind, number in _ID.findall((root / "fdinfo" / descriptor).read_text())}
        except FileNotFoundError:
            pass  # it was closed
    figures |= {
        "fds": len(descriptors),
        "threads": len(os.listdir(root / "task")),
        "bpf_objects": len([one for one in objects if one[0] in KINDS]),
    }
    return figures, objects


def pss(pid: int) -> int:
    """Bytes of memory of a process, what it shares with others in part."""
    return int(psutil.Process(pid).memory_full_info().pss)


def still_there(objects: set[Object], seconds: float = 10.0) -> set[Object]:
    """Those that the kernel still has, after as long as it may take to free them."""
    ends = time.monotonic() + seconds
    while objects and time.monotonic() < ends:
        objects = {one for one in objects if _is_there(*one)}
        time.sleep(0.1)
    return objects


def _is_there(kind: str, number: int) -> bool:
    try:
        os.close(abi.bpf(_GET_FD_BY_ID[kind], abi.attributes("III", number, 0, 0)))
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return False
    return True
