# SPDX-License-Identifier: MIT
"""A separate process that undoes the battery's changes when the battery ends.

The battery announces each change through a pipe before it makes the change. When the pipe closes, for
any reason, the guardian undoes the remaining changes, newest first, and exits. It ignores the signals
that stop the battery.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lazyobs.selftest import syscalls
from lazyobs.text import say

_PACKAGE_ROOT = str(Path(__file__).parent.parent.parent)
_CODE = "import sys; sys.path.append(sys.argv[1]); from lazyobs.selftest.settings_guard import main; main()"
_TRIES = 50
LOCK = "/run/lazyobs-selftest.lock"


def _one_at_a_time(path: str) -> list[int]:
    """Waits until no other battery runs: otherwise each would save the other's settings as the original ones.

    Returns the lock's descriptor; an empty list if the lock is unavailable or the user cannot change settings.
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
        say("lazyobs: selftest: another selftest is running on this machine; waiting for it to end")
        fcntl.flock(fd, fcntl.LOCK_EX)
    return [fd]


class Guardian:
    """The battery's side of the guardian process."""

    def __init__(self, lock: str = LOCK) -> None:
        held = _one_at_a_time(lock)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _CODE, _PACKAGE_ROOT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            pass_fds=held,
        )
        # From here on the guardian holds the lock: it becomes free once everything is restored.
        for fd in held:
            os.close(fd)
        self.pid = self._process.pid
        self.records = 0

    def remember(self, undo: str, *arguments: Any) -> None:
        """Records how to undo a change; call it before the change. ``undo`` is a key of UNDO."""
        self._send({"undo": undo, "arguments": list(arguments)})
        self.records += 1

    def restore(self, to: int) -> list[str]:
        """Undoes all records after the first ``to``; returns the failures."""
        self._send({"restore": to})
        self.records = to
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            return ["the guardian process has exited"]
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
    # lexists: on a read-only filesystem unlink() and rmdir() say EROFS also of what is not there.
    with contextlib.suppress(FileNotFoundError):
        if os.path.lexists(path):
            os.unlink(path)


def _remove_directory(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if os.path.lexists(path):
            os.rmdir(path)


def load_module(name: str, *parameters: str) -> bool:
    """Whether modprobe loaded it. In a lab guest MODPROBE_OPTIONS says where the modules are."""
    return _modprobe("-q", name, *parameters)


def _modprobe(*arguments: str) -> bool:
    program = shutil.which("modprobe", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        return False
    answer = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return answer.returncode == 0


def _unload_module(name: str) -> None:
    """A module that the battery loaded, and those that came with it. One that is in use by now stays."""
    if os.path.isdir(f"/sys/module/{name}"):
        _modprobe("-r", "-q", name)


def _remove_zram(before: list[str]) -> None:
    """Removes every zram device that is not in ``before``: the battery created it."""
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
    "unload_module": _unload_module,
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
                # Busy while a killed process is still exiting: try again.
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
        say(f"lazyobs: selftest: not restored: {failure}")
