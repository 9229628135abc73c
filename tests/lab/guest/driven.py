# SPDX-License-Identifier: MIT
"""Runs in the guest: workloads that wait for a command a line and answer each with a line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lazyobs.sources.source import Source


class Program:
    """A compiled workload of ``count`` VMAs or pages; ``more`` are further arguments."""

    def __init__(self, path: Path, count: int, *more: str) -> None:
        self._start([str(path), str(count), *more])
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


class Watch:
    """What a process's counters and the divided totals gained between calls."""

    def __init__(self, source: Source, pid: int) -> None:
        self._source, self._pid = source, pid
        self._read()

    def _read(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        sample = self._source.read()
        row = next(process for process in sample.processes if process.pid == self._pid)
        divided = {key: value for key, value in sample.totals.items() if "_by_" in key and value}
        before = getattr(self, "_before", (row.counts, divided))
        self._before = (row.counts, divided)
        counts = {k: v - before[0][k] for k, v in row.counts.items() if v is not None}
        parts = {
            key: {part: n - before[1][key][part] for part, n in value.items() if n != before[1][key][part]}
            for key, value in divided.items()
        }
        return counts, parts, row.census

    def gained(self, answer: str = "") -> dict[str, Any]:
        counts, parts, census = self._read()
        return {"answer": answer, "counts": counts, "totals": parts, "census": census}
