# SPDX-License-Identifier: MIT
"""What tests import: skips that may be forbidden, the known workload, rows of samples."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lazyobs.model import Process, Sample

ROOT = Path(__file__).parent.parent
DEMANDED = set(filter(None, os.environ.get("LAZYOBS_DEMAND", "").split(",")))


def skip(feature: str, why: str) -> None:
    """Skips the test for want of ``feature``, or fails it where that is demanded."""
    if feature in DEMANDED:
        pytest.fail(f"{feature} is demanded here (LAZYOBS_DEMAND), but {why}")
    pytest.skip(f"needs {feature}: {why}")


class Islands:
    """tests/workloads/islands.c, one process, driven by commands."""

    def __init__(self, program: Path, count: int) -> None:
        self.count = count
        self._process = subprocess.Popen([program, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self._process.pid
        self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode().strip()
        assert line and line != "what?", line
        return line

    def tell(self, command: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait(30)


def process_of(sample: Sample, pid: int) -> Process:
    """The row of a process in a sample."""
    return next(process for process in sample.processes if process.pid == pid)
