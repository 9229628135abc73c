# SPDX-License-Identifier: MIT
"""Runs in the guest: what lazyobs says that laziness would save, and what it saves, of each kind of process.

``savings.py KIND,.. KINDS``: KINDS is the compiled kinds.c. With the switch off the census predicts; then the slab
objects of the same processes are counted with the switch off and on. One JSON object on stdout: {kind: numbers}.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lazyobs.sources.open import open_live
from lazyobs.sources.source import Source

SWITCH = Path("/proc/sys/vm/anon_vma_lazy")
CACHES = ("anon_vma", "anon_vma_chain")
POINTS = ("slab", "process", "census")
COLUMNS = ("savable_low_bytes", "savable_bytes", "savable_high_bytes")
VMAS = {"fork_server": 101, "brk": 499, "stack": 499}  # others: 101
PROCESSES = {"python": 23, "brk": 101, "stack": 101}  # others: 7
IDLE = "import json, decimal, asyncio, os\nos.write(1, b'ok\\n')\nos.read(0, 1)"


class Crowd:
    """Processes of a kind, in sessions of their own by which their children are known, too."""

    def __init__(self, kind: str) -> None:
        command = [sys.executable, "-c", IDLE] if kind == "python" else [sys.argv[2], kind, str(VMAS.get(kind, 101))]
        self._processes = []
        for _ in range(PROCESSES.get(kind, 7)):
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
            assert process.stdout is not None
            assert process.stdout.readline() == b"ok\n", kind
            self._processes.append(process)

    def has(self, pid: int) -> bool:
        try:
            return os.getsid(pid) in {process.pid for process in self._processes}
        except ProcessLookupError:
            return False

    def end(self) -> None:
        for process in self._processes:
            os.killpg(process.pid, 9)
            process.communicate()


def slab_bytes() -> int:
    """Bytes of live objects: RCU callbacks done, slabs flushed."""
    for _ in range(2):
        time.sleep(0.5)
        for cache in CACHES:
            Path(f"/sys/kernel/slab/{cache}/shrink").write_text("1")
    rows = [line.split() for line in Path("/proc/slabinfo").read_text().splitlines()]
    return sum(int(row[1]) * int(row[3]) for row in rows if row[0] in CACHES)


def predicted(source: Source, crowd: Crowd) -> list[int]:
    """COLUMNS, summed over the processes."""
    rows = [process.census for process in source.read().processes if crowd.has(process.pid)]
    return [sum(row[name] or 0 for row in rows) for name in COLUMNS]


def measured(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for switch in ("0", "1"):
        SWITCH.write_text(switch)
        Crowd(kind).end()  # what stays of the first is not counted
        source = open_live(keep_root=True, points=POINTS).source
        before = slab_bytes()
        crowd = Crowd(kind)
        found["off" if switch == "0" else "on"] = slab_bytes() - before
        if switch == "0":
            found["watched"] = predicted(source, crowd)  # from their birth
            later = open_live(keep_root=True, points=POINTS).source
            found["found"] = predicted(later, crowd)  # already running
            later.close()
        crowd.end()
        source.close()
    found["truth"] = found["off"] - found["on"]
    return found


print(json.dumps({kind: measured(kind) for kind in sys.argv[1].split(",")}))
