# SPDX-License-Identifier: MIT
"""How many processes the map of counts has room for: it follows from the machine.

Maps are preallocated, since the probes may not wait for memory, and the room is paid for whether it is used or not:
360 bytes a process. A machine with more memory runs more processes.
"""

from __future__ import annotations

from lazyobs.bpf.layouts import ENTRIES
from lazyobs.kernel import meminfo

MAP = "processes"
LEAST, MOST = ENTRIES["PROCESS_ENTRIES"], 1 << 18  # the least is that of the image: 6 MB
BYTES_A_PROCESS = 4 << 20  # of the machine's memory: 0.01 % of it goes into the map


def entries(proc_root: str = "/proc") -> dict[str, int]:
    """{map: its size} on this machine."""
    return {MAP: processes(meminfo.read(proc_root).get("MemTotal_bytes", 0), _most_pids(proc_root))}


def processes(memory: int, most_pids: int) -> int:
    """Entries of the map; besides them there are the slots (layouts.py)."""
    return max(LEAST, min(memory // BYTES_A_PROCESS, most_pids, MOST))


def _most_pids(proc_root: str) -> int:
    """kernel.pid_max; MOST where it cannot be read."""
    try:
        with open(f"{proc_root}/sys/kernel/pid_max", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return MOST
