# SPDX-License-Identifier: MIT
"""Counts the slab objects that two workloads gain, with vm.anon_vma_lazy off and on.

Runs as root in a lab guest, booted with slab_nomerge so that each row is one cache. Prints one JSON
object: {workload: {"0": {cache: objects gained}, "1": {...}}}.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

SWITCH = Path("/proc/sys/vm/anon_vma_lazy")
CACHES = ("anon_vma", "anon_vma_chain", "vm_area_struct")
ISLANDS = 3000
PYTHONS = 50

ISLANDS_CODE = f"""
import ctypes, sys
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
base = libc.mmap(None, {ISLANDS} * 8192, 0, 0x4022, -1, 0)
print("ready", flush=True)
sys.stdin.readline()
for number in range({ISLANDS}):
    at = base + number * 8192
    if libc.mprotect(at, 4096, 3):
        sys.exit("mprotect")
    ctypes.memset(at, 1, 1)
print("done", flush=True)
sys.stdin.readline()
"""


def objects() -> dict[str, int]:
    """Live objects by cache, after what is only cached for a CPU or waits for RCU has gone."""
    for _ in range(2):
        for cache in CACHES:
            Path(f"/sys/kernel/slab/{cache}/shrink").write_text("1")
        time.sleep(0.3)
    rows = [line.split() for line in Path("/proc/slabinfo").read_text().splitlines()]
    return {row[0]: int(row[1]) for row in rows if row[0] in CACHES}


def gained(before: dict[str, int]) -> dict[str, int]:
    now = objects()
    return {cache: now[cache] - before[cache] for cache in CACHES}


def islands() -> dict[str, int]:
    """One process that touches 3,000 private VMAs which never were neighbours."""
    process = subprocess.Popen(
        [sys.executable, "-c", ISLANDS_CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin and process.stdout
    process.stdout.readline()
    before = objects()
    process.stdin.write("\n")
    process.stdin.flush()
    process.stdout.readline()
    result = gained(before)
    process.communicate("\n")
    return result


def pythons() -> dict[str, int]:
    """50 interpreters at rest."""
    before = objects()
    processes: list[subprocess.Popen[bytes]] = []
    for _ in range(PYTHONS):
        processes.append(
            subprocess.Popen(
                ["/usr/bin/python3", "-c", "import sys; print(flush=True); sys.stdin.read()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        )
    for process in processes:
        assert process.stdout
        process.stdout.readline()
    result = gained(before)
    for process in processes:
        process.communicate()
    return result


def main() -> None:
    found: dict[str, dict[str, dict[str, int]]] = {}
    workloads: dict[str, Callable[[], dict[str, int]]] = {"islands": islands, "pythons": pythons}
    for name, workload in workloads.items():
        found[name] = {}
        for switch in ("0", "1"):
            SWITCH.write_text(switch)
            workload()  # once to warm up: what stays is not counted
            found[name][switch] = workload()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
