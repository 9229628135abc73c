# SPDX-License-Identifier: MIT
"""A process that knows how to undo every change the battery has made, and does so when the battery ends.

It hears of a change before the change is made, through a pipe; when the pipe closes, for whatever
reason, it restores what is left, the youngest change first, and ends. Signals meant for the battery do
not reach it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import glob
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lazyobs.selftest import syscalls

_PACKAGE_ROOT = str(Path(__file__).parent.parent.parent)
_CODE = "import sys; sys.path.append(sys.argv[1]); from lazyobs.selftest.settings_guard import main; main()"
_TRIES = 50
LOCK = "/run/lazyobs-selftest.lock"


def _one_at_a_time(path: str) -> list[int]:
    """Waits for another battery to end: two would take each other's settings for the machine's.

    Returns the lock's descriptor; nothing for users who cannot change settings anyway.
    """
    if os.geteuid() != 0:
        return []
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return []
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("lazyobs: selftest: another battery runs on this machine; waiting for it to end", file=sys.stderr)
        fcntl.flock(fd, fcntl.LOCK_EX)
    return [fd]


class Guardian:
    """The battery's end."""

    def __init__(self, lock: str = LOCK) -> None:
        held = _one_at_a_time(lock)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _CODE, _PACKAGE_ROOT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            pass_fds=held,
        )
        # The lock is the guardian's from here on: free when everything is restored.
        for fd in held:
            os.close(fd)
        self.pid = self._process.pid
        self.records = 0

    def remember(self, undo: str, *arguments: Any) -> None:
        """To be called before the change. ``undo`` is one of UNDO."""
        self._send({"undo": undo, "arguments": list(arguments)})
        self.records += 1

    def restore(self, to: int) -> list[str]:
        """Undoes the changes made since there were ``to`` records; what could not be undone is returned."""
        self._send({"restore": to})
        self.records = to
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            return ["the restoring process has ended"]
        failures: list[str] = json.loads(answer)
        return failures

    def _send(self, record: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(record).encode() + b"\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """Restores everything and ends."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()


def _write(path: str, value: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(value)


def _swapoff(pattern: str) -> None:
    for path in glob.glob(pattern):
        if syscalls.libc.swapoff(path.encode()) and ctypes.get_errno() != 22:  # EINVAL: not in use
            raise syscalls.failed(f"swapoff {path}")


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _remove_directory(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(path)


def _remove_zram(before: list[str]) -> None:
    """Every zram device that was not there before; they are ours."""
    for name in sorted(os.listdir("/sys/block")):
        if name.startswith("zram") and name not in before:
            _swapoff(f"/dev/{name}")
            _write(f"/sys/block/{name}/reset", "1")
            _write("/sys/class/zram-control/hot_remove", name.removeprefix("zram"))


def _unpoison(path: str, frames_file: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        with open(frames_file, encoding="ascii") as file:
            for frame in file:
                _write(path, frame.strip())


UNDO: dict[str, Callable[..., None]] = {
    "write": _write,
    "swapoff": _swapoff,
    "remove": _remove,
    "remove_directory": _remove_directory,
    "remove_zram": _remove_zram,
    "unpoison": _unpoison,
}


def _undo_down_to(records: list[dict[str, Any]], count: int) -> list[str]:
    failures = []
    while len(records) > count:
        record = records.pop()
        for left in range(_TRIES, -1, -1):
            try:
                UNDO[record["undo"]](*record["arguments"])
            except OSError as error:
                # Busy while a killed process is still being torn down.
                if left:
                    time.sleep(0.1)
                    continue
                failures.append(f"{record['undo']} {record['arguments']}: {error}")
            break
    return failures


def main() -> None:
    """Runs until standard input closes."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        _write("/proc/self/oom_score_adj", "-1000")
    records: list[dict[str, Any]] = []
    for line in sys.stdin:
        if not line.endswith("\n"):
            break
        message = json.loads(line)
        if "undo" in message:
            records.append(message)
        else:
            print(json.dumps(_undo_down_to(records, message["restore"])), flush=True)
    for failure in _undo_down_to(records, 0):
        print(f"lazyobs: selftest: not restored: {failure}", file=sys.stderr)
