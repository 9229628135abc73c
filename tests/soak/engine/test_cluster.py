# SPDX-License-Identifier: MIT
"""``report --engine spark`` on a cluster of which a worker dies while it works: the verdict of DuckDB, byte for byte."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from bench.scale_out import report
from bench.spark_cluster import cluster
from tests.harness import skip
from tests.soak.engine.conftest import SMALL
from tests.soak.generated import make

pytestmark = pytest.mark.slow


# One after the other by queries, of which each has several tasks; and given to the executors whole, a task each.
@pytest.mark.parametrize(("hosts", "kill_after"), [(3, 5), (60, 8)])
def test_a_worker_that_dies_changes_no_verdict(tmp_path: Path, hosts: int, kill_after: int) -> None:
    if importlib.util.find_spec("pyspark") is None:
        skip("spark", "pyspark is not installed: pip install pyspark")
    if shutil.which("java") is None:
        skip("spark", "there is no Java runtime: apt-get install openjdk-17-jre-headless")
    paths = [tmp_path / f"host-{seed}" for seed in range(23, 23 + hosts)]
    for path in paths:
        make(path, int(path.name.removeprefix("host-")), SMALL)
    _, expected = report(paths)
    with cluster(tmp_path) as two:
        found, verdict = report(paths, two, kill_after=kill_after)
    assert verdict == expected
    assert {one["recording"] for one in json.loads(verdict)["findings"]} >= {path.name for path in paths}
    # Both had worked, one died with work to be done.
    assert len(found["tasks_at_the_kill"]) == 2 and all(found["tasks_at_the_kill"])
    assert found["killed_at"] < found["seconds"]
