# SPDX-License-Identifier: MIT
"""A standalone Spark cluster on loopback, of the pip package: a master and workers of one core each, which can be killed."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from tests.dashboards.prometheus_server import free_port

_SECONDS = 120.0  # until it is up
_LOOPBACK = "127.0.0.1"


class Cluster:
    """``environment``: what `--engine spark` finds it by."""

    def __init__(self, directory: Path, workers: int) -> None:
        self._ports = {name: free_port() for name in ("master", "master_ui", "driver_ui")}
        self.environment = {
            **os.environ, "SPARK_CONF_DIR": str(directory / "conf"), "SPARK_LOCAL_IP": _LOOPBACK,
            "PYSPARK_PYTHON": sys.executable,
        }  # fmt: skip
        (directory / "conf").mkdir()
        master = f"spark://{_LOOPBACK}:{self._ports['master']}"
        defaults = {
            "spark.master": master, "spark.driver.host": _LOOPBACK, "spark.executor.memory": "512m",
            "spark.sql.shuffle.partitions": workers, "spark.ui.port": self._ports["driver_ui"],
            "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR",
        }  # fmt: skip
        lines = [f"{name} {value}" for name, value in defaults.items()]
        (directory / "conf/spark-defaults.conf").write_text("\n".join(lines) + "\n")
        log = directory / "log"
        self._log = log.open("wb")
        self.master = self._start(
            "master.Master",
            "--host",
            _LOOPBACK,
            "--port",
            self._ports["master"],
            "--webui-port",
            self._ports["master_ui"],
        )
        self.workers = [
            self._start(
                "worker.Worker", "--host", _LOOPBACK, "--cores", 1, "--memory", "600m", "--webui-port", 0,
                "--work-dir", directory / f"work-{number}", master,
            )
            for number in range(workers)
        ]  # fmt: skip

    def _start(self, what: str, *arguments: object) -> subprocess.Popen[bytes]:
        home = Path((find_spec("pyspark") or _missing()).origin or "").parent
        command = [str(home / "bin/spark-class"), f"org.apache.spark.deploy.{what}", *map(str, arguments)]
        environment = {**self.environment, "SPARK_HOME": str(home), "SPARK_DAEMON_MEMORY": "256m"}
        return subprocess.Popen(command, env=environment, stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL)

    def wait(self) -> None:
        """Until all workers are there."""
        ends = time.monotonic() + _SECONDS
        while time.monotonic() < ends:
            with contextlib.suppress(OSError, ValueError):  # it listens before it has pages, and answers with another
                if _asked(self._ports["master_ui"], "json/")["aliveworkers"] == len(self.workers):
                    return
            time.sleep(0.2)
        raise RuntimeError("the cluster does not come up")

    def executors(self) -> list[dict[str, Any]]:
        """Of the one application that runs, those that are dead too; [] before there is one."""
        try:
            (application,) = _asked(self._ports["driver_ui"], "api/v1/applications")
            found = _asked(self._ports["driver_ui"], f"api/v1/applications/{application['id']}/allexecutors")
        except (OSError, ValueError):
            return []
        return [one for one in found if one["id"] != "driver"]

    def tasks(self) -> list[int]:
        """Tasks that each executor has completed, in the order in which they came."""
        return [one["completedTasks"] for one in self.executors()]

    def kill(self, number: int) -> None:
        """A worker with the executors that it has started, as when its machine dies."""
        process = psutil.Process(self.workers[number].pid)
        for one in [process, *process.children(recursive=True)]:
            one.kill()
        self.workers[number].wait()

    def close(self) -> None:
        for process in (*self.workers, self.master):
            process.terminate()
        for process in (*self.workers, self.master):
            process.wait(60)
        self._log.close()


def _missing() -> Any:
    raise RuntimeError("pyspark is not installed: pip install pyspark")


def _asked(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://{_LOOPBACK}:{port}/{path}", timeout=10) as response:
        return json.load(response)


@contextlib.contextmanager
def cluster(directory: Path, workers: int = 2) -> Iterator[Cluster]:
    made = Cluster(directory, workers)
    try:
        made.wait()
        yield made
    finally:
        made.close()
