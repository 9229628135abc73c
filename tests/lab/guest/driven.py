# SPDX-License-Identifier: MIT
"""Runs in the guest: workloads that wait for a command a line and answer each with a line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


class Program:
    """A compiled workload of ``count`` VMAs or pages."""

    def __init__(self, path: Path, count: int) -> None:
        self._start([str(path), str(count)])
        self._answer()

    def _start(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self._process.pid

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()

    def tell(self, *commands: str) -> str:
        """The answer to the last one."""
        assert self._process.stdin is not None
        for command in commands:
            self._process.stdin.write(command.encode() + b"\n")
            self._process.stdin.flush()
            answer = self._answer()
        return answer

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class Interpreter(Program):
    """A Python with a few libraries that does nothing but answer."""

    def __init__(self) -> None:
        code = "import json, decimal, asyncio, os\nwhile os.read(0, 100): os.write(1, b'ok\\n')"
        self._start([sys.executable, "-c", code])


def swap_on() -> None:
    """Swap on the RAM disk, where there is none yet."""
    if "zram0" in Path("/proc/swaps").read_text():
        return
    Path("/sys/block/zram0/disksize").write_text("256M")
    subprocess.run(["mkswap", "-q", "/dev/zram0"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["swapon", "/dev/zram0"], check=True)
