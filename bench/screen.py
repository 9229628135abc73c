# SPDX-License-Identifier: MIT
"""CPU of the full screen at an interval of 1 s with 500 processes, beside htop and a bpftrace view.

Each runs on a pseudo-terminal of 200 columns and 60 lines; the benchmark measures the CPU time of all its processes
over the same number of seconds, after start-up.
"""

from __future__ import annotations

import fcntl
import os
import pty
import shutil
import statistics
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

from bench import bpftrace, event_cost
from bench.held import pss

_ROOT = Path(__file__).parent.parent
_PROCESSES, _SECONDS, _SETTLE, _ROUNDS = 500, 20, 8, 3
_TICK = os.sysconf("SC_CLK_TCK")


def _commands() -> dict[str, list[str]]:
    """The commands. The closest bpftrace equivalent prints anon_vmas and chains by process every second."""
    return {
        "lazyobs": [sys.executable, "-m", "lazyobs", "top", "-d", "1"],
        "htop": ["htop", "-d", "10"],
        "bpftrace": ["bpftrace", "-e", event_cost.bpftrace_program() + " interval:s:1 { print(@count); }"],
    }


class _OnTerminal:
    """A command on a pseudo-terminal whose output is read. ``first_bytes``: seconds to its first output."""

    def __init__(self, command: list[str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 200, 0, 0))
        self._command = command
        self._process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, cwd=_ROOT, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        os.close(slave)
        self._begun = time.monotonic()
        self.seconds_to: dict[bytes, float] = {}
        self.bytes = 0
        self.last = b""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while some := os.read(self._master, 65536):
                self.bytes += len(some)
                self.last = self.last[-4096:] + some
                for words in (b"waiting for the first sample", b"savable"):
                    if words in self.last:
                        self.seconds_to.setdefault(words, time.monotonic() - self._begun)
        except OSError:
            return  # the terminal's other end has been closed

    def cpu_seconds(self) -> float:
        """CPU seconds of the process and all its descendants."""
        pids, total = [self._process.pid], 0.0
        for pid in pids:
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += (int(fields[11]) + int(fields[12])) / _TICK
                for task in Path(f"/proc/{pid}/task").iterdir():
                    pids += map(int, (task / "children").read_text().split())
            except OSError:
                continue
        return total

    def pss_bytes(self) -> int:
        if self._process.poll() is not None:
            raise RuntimeError(f"{self._command[0]} has ended: {self.last[-500:].decode(errors='replace')}")
        return pss(self._process.pid)

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._master)


def _measured(command: list[str]) -> dict[str, float]:
    it = _OnTerminal(command)
    try:
        time.sleep(_SETTLE)
        cpu, sent, begin = it.cpu_seconds(), it.bytes, time.monotonic()
        time.sleep(_SECONDS)
        elapsed = time.monotonic() - begin
        found = {
            "cpu_percent": 100 * (it.cpu_seconds() - cpu) / elapsed,
            "bytes_per_second": (it.bytes - sent) / elapsed,
            "pss_bytes": it.pss_bytes(),
        }
        if b"savable" in it.seconds_to:
            found["seconds_to_first_screen"] = it.seconds_to[b"savable"]
        return found
    finally:
        it.close()


def run() -> dict[str, object]:
    sleepers = [subprocess.Popen(["sleep", "100000"]) for _ in range(_PROCESSES)]
    found: dict[str, list[dict[str, float]]] = {}
    try:
        with bpftrace.tracefs():
            for _ in range(_ROUNDS):
                for name, command in _commands().items():
                    if shutil.which(command[0]):
                        found.setdefault(name, []).append(_measured(command))
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()
    result: dict[str, object] = {"processes": _PROCESSES, "seconds": _SECONDS, "goal_cpu_percent": 2.0}
    for name, rounds in found.items():
        result[name] = {key: round(statistics.median(one[key] for one in rounds if key in one), 3) for key in rounds[0]}
        result[f"{name}_cpu_percent"] = [round(one["cpu_percent"], 2) for one in rounds]
    ours = statistics.median(one["cpu_percent"] for one in found["lazyobs"])
    for name in found:
        if name != "lazyobs":
            result[f"ratio_to_{name}"] = round(ours / statistics.median(one["cpu_percent"] for one in found[name]), 2)
    return result
