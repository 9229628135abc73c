# SPDX-License-Identifier: MIT
"""``report`` and ``compare`` on a day of many hosts with DuckDB, and on a standalone Spark cluster of two workers
(spark_cluster.py), once with one of them killed midway: the same verdict, byte for byte.
``python -m bench.scale_out [HOSTS [SPARK_HOSTS]]``: 100 with DuckDB, and the first 100 of them with both. Four of them,
so few that Spark is asked by queries (lazyobs/soak/engine/whole.py), show what those take.

The recordings are generated (tests/soak/generated.py), a sample every ten seconds, and removed; all hosts share the
tables of processes and of the system of one.
"""

from __future__ import annotations

import contextlib
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

from bench.soak_scale import _memory
from bench.spark_cluster import Cluster, cluster
from tests.soak.generated import Shape, make

SHAPE = Shape(samples=8640, events=20_000, processes=11, segment_samples=2160, seconds=10)
_LOOK = 0.2  # seconds
_LOOKS = 10  # between two of memory
_BY_QUERIES = 4  # recordings


class Used:
    """CPU seconds and most memory of trees of processes, looked at again and again; what a process does after the last
    look is not in it, nor what the first was before its first look. Memory is PSS, looked at less often: it takes long."""

    def __init__(self) -> None:
        self.most = 0
        self._cpu: dict[tuple[int, float], float] = {}
        self._before: dict[tuple[int, float], float] = {}
        self._looks = 0

    def look(self, pids: list[int]) -> None:
        for pid in pids:
            with contextlib.suppress(psutil.Error):
                for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
                    used = process.cpu_times()
                    key = process.pid, process.create_time()
                    self._cpu[key] = used.user + used.system
                    if not self._looks:
                        self._before[key] = self._cpu[key]
        if self._looks % _LOOKS == 0:
            self.most = max(self.most, sum(map(_memory, pids)))
        self._looks += 1

    @property
    def seconds(self) -> float:
        return sum(used - self._before.get(key, 0.0) for key, used in self._cpu.items())


def report(
    paths: list[Path], on: Cluster | None = None, kill_after: int | None = None, compare: bool = False
) -> tuple[dict[str, Any], bytes]:
    """Figures of one ``lazyobs report``, or ``compare`` of the first half with the second, and its verdict.
    ``kill_after``: tasks of the cluster before a worker dies; the figures then have what each executor had done at that
    moment. CPU and memory are those of the command and all that it starts, Spark's driver among it; of the cluster there
    are ``executors_cpu_seconds`` and ``executors_most_megabytes``."""
    half = len(paths) // 2
    arms = ["--base", *paths[:half], "--new", *paths[half:]] if compare else paths
    action = "compare" if compare else "report"
    command = [
        sys.executable,
        "-m",
        "lazyobs",
        action,
        "--json",
        *(["--engine", "spark"] if on else []),
        *map(str, arms),
    ]
    environment = on.environment if on else None
    found: dict[str, Any] = {"hosts": len(paths), "load_at_start": round(os.getloadavg()[0], 1)}
    own, theirs = Used(), Used()
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as errors:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=answer, stderr=errors, env=environment)
        while process.poll() is None:
            own.look([process.pid])
            theirs.look([worker.pid for worker in on.workers] if on else [])
            tasks = on.tasks() if on and kill_after is not None and "killed_at" not in found else []
            if tasks and kill_after is not None and min(tasks) > 0 and sum(tasks) >= kill_after and len(tasks) > 1:
                assert on is not None
                on.kill(0)
                found |= {"killed_at": round(time.monotonic() - began, 2), "tasks_at_the_kill": tasks}
            time.sleep(_LOOK)
        seconds = time.monotonic() - began
        answer.seek(0), errors.seek(0)
        verdict = answer.read()
        if process.returncode not in (0, 1):
            raise RuntimeError(errors.read().decode()[-500:])
    cpu = own.seconds + theirs.seconds
    found |= {"seconds": round(seconds, 2), "seconds_a_host": round(seconds / len(paths), 3)}
    found |= {"cpu_seconds": round(cpu, 1), "cpu_seconds_a_host": round(cpu / len(paths), 3)}
    found |= {"most_megabytes": round(own.most / 1e6, 1), "load_at_end": round(os.getloadavg()[0], 1)}
    if on:
        found |= {
            "executors_cpu_seconds": round(theirs.seconds, 1),
            "executors_most_megabytes": round(theirs.most / 1e6, 1),
        }
    return found, verdict


def run(hosts: int = 100, spark_hosts: int = 100, shape: Shape = SHAPE) -> dict[str, Any]:
    """Needs 12 MB in /var/tmp, 3 MB more for each host, and Java."""
    place = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="lazyobs-scale-out-"))
    try:
        paths = [place / f"host-{number:04}" for number in range(hosts)]
        for number, path in enumerate(paths):
            make(path, number, shape, paths[0] if number else None)
        size = sum(file.stat().st_size for path in paths for file in path.iterdir() if file.stat().st_nlink == 1)
        found = {
            "cpus": len(os.sched_getaffinity(0)),
            "bytes_a_host": size // len(paths),
            **_measured(place, paths, spark_hosts),
        }
    finally:
        shutil.rmtree(place)
    return found


def _measured(place: Path, paths: list[Path], spark_hosts: int) -> dict[str, Any]:
    """{what: figures}, and whether all engines said the same."""
    found: dict[str, Any] = {}
    few = paths[:spark_hosts]
    verdicts: dict[tuple[str, int], set[bytes]] = {}

    def keep(name: str, of: list[Path], compare: bool = False, **on: Any) -> None:
        found[name], verdict = report(of, compare=compare, **on)
        verdicts.setdefault(("compare" if compare else "report", len(of)), set()).add(verdict)

    def keep_of_cluster(name: str, of: list[Path], **how: Any) -> None:
        folder = place / name
        folder.mkdir()
        with cluster(folder) as on:
            keep(name, of, on=on, **how)

    for name, compare in (("report", False), ("compare", True)):
        keep(f"duckdb_{name}_all", paths, compare)
        found[f"duckdb_{name}"] = found[f"duckdb_{name}_all"]
        if few != paths:
            keep(f"duckdb_{name}", few, compare)
    keep("duckdb_report_few", paths[:_BY_QUERIES])
    keep_of_cluster("spark_report", few)
    keep_of_cluster("spark_report_one_worker_killed", few, kill_after=len(few) // 2)
    keep_of_cluster("spark_compare", few, compare=True)
    keep_of_cluster("spark_report_few", paths[:_BY_QUERIES])
    same = all(len(said) == 1 and json.loads(*said)["findings"] for said in verdicts.values())
    killed = "killed_at" in found["spark_report_one_worker_killed"]
    return {"same_verdict": same, "a_worker_was_killed": killed, **found}


if __name__ == "__main__":
    asked = dict(zip(("hosts", "spark_hosts"), map(int, sys.argv[1:])))
    json.dump(run(asked.get("hosts", 100), asked.get("spark_hosts", 100)), sys.stdout, indent=1)
    print()
