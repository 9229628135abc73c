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
PROCESSES = {"python": 13, "brk": 101, "stack": 101}  # others: 7
IDLE = "import json, decimal, asyncio, os\nos.write(1, b'ok\\n')\nos.read(0, 1)"


class Crowd:
    """Processes of a kind, in sessions of their own by which their children are known, too."""

    def __init__(self, kind: str, processes: int) -> None:
        command = [sys.executable, "-c", IDLE] if kind == "python" else [sys.argv[2], kind, str(VMAS.get(kind, 101))]
        self._processes = []
        for _ in range(processes):
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
    return [sum(value for row in rows if (value := row[name]) is not None) for name in COLUMNS]


def main(kinds: list[str]) -> dict[str, dict[str, Any]]:
    """``off``, ``on``: slab bytes gained; ``watched``, ``found``: COLUMNS by a source that has seen the processes
    begin, and by one that has not."""
    found: dict[str, dict[str, Any]] = {kind: {} for kind in kinds}
    source = open_live(keep_root=True, points=POINTS).source
    for switch, name in (("0", "off"), ("1", "on")):
        SWITCH.write_text(switch)
        crowds = {}
        for kind in kinds:
            Crowd(kind, 1).end()  # what stays of the first is not counted
            before = slab_bytes()
            crowds[kind] = Crowd(kind, PROCESSES.get(kind, 7))
            found[kind][name] = slab_bytes() - before
        if switch == "0":
            later = open_live(keep_root=True, points=POINTS).source
            for kind, crowd in crowds.items():
                found[kind] |= {"watched": predicted(source, crowd), "found": predicted(later, crowd)}
            later.close()
        for crowd in crowds.values():
            crowd.end()
    source.close()
    for numbers in found.values():
        numbers["truth"] = numbers["off"] - numbers["on"]
    return found


print(json.dumps(main(sys.argv[1].split(","))))
