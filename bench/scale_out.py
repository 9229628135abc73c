# SPDX-License-Identifier: MIT
"""``report`` on a day of many hosts with DuckDB, and on a standalone Spark cluster of two workers (spark_cluster.py) of
which one is killed midway: the same verdict, byte for byte. ``python -m bench.scale_out [HOSTS [SPARK_HOSTS]]``: 100 with
DuckDB, and the first 8 of them with both.

The recordings are generated (tests/soak/generated.py), a sample every ten seconds, and removed; all hosts share the
tables of processes and of the system of one.
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

from bench.soak_scale import _memory
from bench.spark_cluster import Cluster, cluster
from tests.soak.generated import Shape, make

SHAPE = Shape(samples=8640, events=20_000, processes=11, segment_samples=2160, seconds=10)
_LOOK = 0.2


def report(paths: list[Path], on: Cluster | None = None, kill_after: int | None = None) -> tuple[dict[str, Any], bytes]:
    """Figures of one ``lazyobs report``, and its verdict. ``kill_after``: tasks of the cluster before a worker dies; the
    figures then have what each executor had done at that moment, and at the end."""
    command = [sys.executable, "-m", "lazyobs", "report", "--json", *(["--engine", "spark"] if on else [])]
    environment = on.environment if on else None
    found: dict[str, Any] = {"hosts": len(paths)}
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as errors:
        began = time.monotonic()
        process = subprocess.Popen([*command, *map(str, paths)], stdout=answer, stderr=errors, env=environment)
        most = 0.0
        while process.poll() is None:
            most = max(most, _memory(process.pid))
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
    figures = {"seconds": round(seconds, 2), "seconds_a_host": round(seconds / len(paths), 3)}
    return {**found, **figures, "most_megabytes": round(most / 1e6, 1)}, verdict


def run(hosts: int = 100, spark_hosts: int = 8, shape: Shape = SHAPE) -> dict[str, Any]:
    """Needs 4 MB per host in /var/tmp, and Java."""
    place = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="lazyobs-scale-out-"))
    try:
        paths = [place / f"host-{number:04}" for number in range(hosts)]
        for number, path in enumerate(paths):
            make(path, number, shape, paths[0] if number else None)
        size = sum(file.stat().st_size for path in paths for file in path.iterdir() if file.stat().st_nlink == 1)
        all_of_them, _ = report(paths)
        few = paths[:spark_hosts]
        duckdb, verdict = report(few)
        with cluster(place) as whole:
            spark, by_spark = report(few, whole)
        (place / "second").mkdir()
        with cluster(place / "second") as dying:
            killed, by_the_rest = report(few, dying, kill_after=10 * spark_hosts)
    finally:
        shutil.rmtree(place)
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "bytes_a_host": size // len(paths),
        "same_verdict": verdict == by_spark == by_the_rest and bool(json.loads(verdict)["findings"]),
        "a_worker_was_killed": "killed_at" in killed,
        "duckdb_all": all_of_them,
        "duckdb": duckdb,
        "spark": spark,
        "spark_one_worker_killed": killed,
    }


if __name__ == "__main__":
    asked = dict(zip(("hosts", "spark_hosts"), map(int, sys.argv[1:])))
    json.dump(run(asked.get("hosts", 100), asked.get("spark_hosts", 8)), sys.stdout, indent=1)
    print()
