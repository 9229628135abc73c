# SPDX-License-Identifier: MIT
"""Loaders that take their time: an interpreter that sleeps, or is stopped, before it becomes the right one."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from lazyobs.bpf.session import interpreters

LONG = 60.0  # seconds: more than anything here takes


def sleeping(folder: Path, seconds: float) -> dict[str, str]:
    """Environment in which the loader begins so late."""
    return _environment(folder, f"sleep {seconds}")


class Held:
    """``environment``: the loader that is started with it begins after ``go_on``; also in a pid namespace."""

    def __init__(self, folder: Path, wait: float = 1.0) -> None:
        self._gate = folder / "gate"
        self.environment = _environment(folder, f"while [ ! -e {self._gate} ]; do sleep 0.1; done")
        self.environment["LAZYOBS_LOADER_SECONDS"] = str(wait)

    def go_on(self) -> None:
        self._gate.touch()


class Stopped:
    """``environment``: the loader that is started with it stands still until it gets SIGCONT."""

    def __init__(self, folder: Path, wait: float = 1.0) -> None:
        self._pid_file = folder / "pid"
        self.environment = _environment(
            folder, f"echo $$ > {folder}/new; mv {folder}/new {self._pid_file}; kill -STOP $$"
        )
        self.environment["LAZYOBS_LOADER_SECONDS"] = str(wait)

    @property
    def pid(self) -> int:
        until(self._pid_file.exists)
        return int(self._pid_file.read_text())

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def has_ended(self) -> bool:
        return not Path(f"/proc/{self.pid}").exists()


def _environment(folder: Path, before: str) -> dict[str, str]:
    script = folder / "python"
    script.write_text(f'#!/bin/sh\n{before}\nexec {interpreters()[0]} "$@"\n')
    script.chmod(0o755)
    return {"LAZYOBS_BCC_PYTHON": str(script)}


def until(is_so: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Waits until it is so; fails after LONG, or when the process has ended."""
    ends = time.monotonic() + LONG
    while not is_so():
        assert time.monotonic() < ends
        assert process is None or process.poll() is None
        time.sleep(0.1)
