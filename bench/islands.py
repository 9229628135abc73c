# SPDX-License-Identifier: MIT
"""The known workload of the tests (tests/workloads/islands.c), built and driven for benchmarks."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "tests/workloads/islands.c"
PREBUILT = "LAZYOBS_BENCH_ISLANDS"  # the program, where there is no compiler


@contextlib.contextmanager
def islands(count: int) -> Iterator[tuple[int, Callable[[str], str]]]:
    """(pid, tell): a process with that many islands; ``tell(command)`` sends a command and returns the answer."""
    with tempfile.TemporaryDirectory() as folder:
        program = os.environ.get(PREBUILT, f"{folder}/islands")
        if PREBUILT not in os.environ:
            subprocess.run(["gcc", "-O1", "-o", program, SOURCE], check=True)
        process = subprocess.Popen([program, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None and process.stdout is not None

        def tell(command: str) -> str:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(command.encode() + b"\n")
            process.stdin.flush()
            return process.stdout.readline().decode().strip()

        try:
            process.stdout.readline()
            yield process.pid, tell
        finally:
            process.stdin.close()
            process.wait()
            process.stdout.close()
