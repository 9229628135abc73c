# SPDX-License-Identifier: MIT
"""A report on a day of a fleet: recordings of 24 hours of 10, 25, 50 and 100 hosts, a million events each.

The command runs in a separate process, as for a user; the benchmark measures its time and memory. Recordings are
generated (tests/soak/generated.py) and removed. All hosts share the tables of processes and of the system of one
host; a report reads only a few of their columns.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from tests.soak.generated import Shape, make

HOSTS = (10, 25, 50, 100)
SHAPE = Shape()
_BETWEEN = 0.02  # seconds between two checks for its end
_LOOKS = 25  # seconds between two checks of its memory


def _report(paths: list[Path]) -> dict[str, float]:
    """Seconds, CPU seconds and peak memory of a ``lazyobs report``, including the processes it starts."""
    command = [sys.executable, "-m", "lazyobs", "report", "--json", *map(str, paths)]
    began = time.monotonic()
    with tempfile.TemporaryFile() as answer:
        process = subprocess.Popen(command, stdout=answer)
        most, ended, looks = 0, 0, 0
        while not ended:
            if looks % _LOOKS == 0:
                most = max(most, _memory(process.pid))
            looks += 1
            time.sleep(_BETWEEN)
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
        seconds = time.monotonic() - began
        assert os.waitstatus_to_exitcode(status) in (0, 1), status
        answer.seek(0)
        verdict = json.load(answer)
    return {
        "hosts": len(paths),
        "events": len(paths) * SHAPE.events,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
        "most_megabytes": round(most / 1e6, 1),
        "findings": len(verdict["findings"]),
    }


def _memory(pid: int) -> int:
    """Bytes of the process and all its descendants; shared memory counts once (PSS)."""
    total = 0
    try:
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            total += process.memory_full_info().pss
    except psutil.Error:
        pass  # a process has just ended
    return total


def run(hosts: tuple[int, ...] = HOSTS) -> dict[str, Any]:
    """Needs 45 MB per host in /var/tmp."""
    place = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="lazyobs-scale-"))
    try:
        paths = [place / f"host-{number}" for number in range(max(hosts))]
        for number, path in enumerate(paths):
            make(path, number, SHAPE, paths[0] if number else None)
        size = sum(file.stat().st_size for path in paths for file in path.iterdir())
        steps = [_report(paths[:count]) for count in hosts]
    finally:
        shutil.rmtree(place)
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "bytes_a_host": size // len(paths),
        "steps": steps,
        "seconds_a_host": [round(step["seconds"] / step["hosts"], 3) for step in steps],
    }


if __name__ == "__main__":
    json.dump(run(tuple(map(int, sys.argv[1:])) or HOSTS), sys.stdout, indent=1)
    print()
