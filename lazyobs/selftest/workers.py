# SPDX-License-Identifier: MIT
"""The parent's side of a worker: starts it, reads its messages, continues it, kills it and its children."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lazyobs.unix.memory_file import memory_file

_PACKAGE_ROOT = str(Path(__file__).parent.parent.parent)
# Not -I, which would ignore the environment below; sys.path must not contain the current directory either.
_CODE = (
    "import sys; sys.path[:] = [path for path in sys.path if path]; sys.path.append(sys.argv[1]);"
    "import json; from lazyobs.selftest.worker import main; main(json.loads(sys.argv[2]))"
)
# One heap that never shrinks: the allocator creates and removes no VMA while events are counted.
ENVIRONMENT = {
    "PYTHONMALLOC": "malloc",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONNOUSERSITE": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(16 << 20),
    "LANG": "C.UTF-8",
}


class WorkerDied(Exception):
    """The worker ended without a final message; the text says how."""


class WorkerTimedOut(Exception):
    """The worker did not send its next message in time."""


class Worker:
    """The process of one scenario. ``deadline`` (monotonic clock, seconds) covers the whole scenario."""

    def __init__(self, task: dict[str, Any], deadline: float) -> None:
        self._deadline = deadline
        self._stderr = memory_file("lazyobs-worker")
        self._process = subprocess.Popen(
            [sys.executable, "-s", "-S", "-c", _CODE, _PACKAGE_ROOT, json.dumps({**task, "parent": os.getpid()})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **ENVIRONMENT},
            cwd="/",
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._buffer = b""

    def hear(self) -> dict[str, Any]:
        """Waits for the next message. WorkerDied, WorkerTimedOut."""
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        while b"\n" not in self._buffer:
            left = self._deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                raise WorkerTimedOut(self._where())
            part = os.read(fd, 1 << 16)
            if not part:
                raise WorkerDied(self._how_it_ended())
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def go_on(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()

    def _where(self) -> str:
        """The kernel function in which the worker waits, if /proc shows it."""
        try:
            with open(f"/proc/{self.pid}/wchan", encoding="ascii", errors="replace") as file:
                return f"waiting in {file.read() or '?'}"
        except OSError:
            return "its wait channel cannot be read"

    def _how_it_ended(self) -> str:
        status = self._process.wait()
        self._stderr.seek(0)
        said = self._stderr.read().decode("utf-8", "replace").strip().splitlines()
        how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        return f"{how}: {said[-1]}" if said else how

    def end(self) -> None:
        """Kills the worker and all processes it forked, and waits for them."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        # Its children hold the other end of this pipe, which closes when the last of them has exited.
        os.set_blocking(self._process.stdout.fileno(), True)
        limit = time.monotonic() + 10
        while select.select([self._process.stdout], [], [], max(0.0, limit - time.monotonic()))[0]:
            if not os.read(self._process.stdout.fileno(), 1 << 16):
                break
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._stderr.close()
