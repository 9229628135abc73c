# SPDX-License-Identifier: MIT
"""Programs that judge runs: by their words, never as a text for a shell; with a limit of time; and all that they leave
behind is ended with them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lazyobs.unix.fork import die_with_parent

_TICK = 0.5  # seconds between two looks at a program
#: Bytes that a program may print: one of an unknown patch may print for ever.
MOST_PRINTED = 256 << 20
_KEPT = 1 << 20  # of one that printed more
_GRACE = 3.0  # seconds that it has to end itself
_ROUNDS = 20  # of orphans that leave orphans
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None)
_adopts = False


@dataclass(frozen=True)
class Done:
    """``status`` is None where the time was up, or where it printed more than MOST_PRINTED (``flooded``)."""

    status: int | None
    seconds: float
    flooded: bool = False


def run(
    command: Sequence[str],
    log: Path,
    limit: float,
    environment: Mapping[str, str] | None = None,
    tell: Callable[[float], None] = lambda _seconds: None,
) -> Done:
    """Runs the command, its output at the end of ``log``. ``tell``: called about twice a second. OSError where it
    cannot be started. Whatever raises meanwhile (Ctrl-C), nothing of it is left."""
    began = time.monotonic()
    with open(log, "ab") as out:
        begin = out.tell()
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env=None if environment is None else dict(environment), start_new_session=True, preexec_fn=die_with_parent,
        )  # fmt: skip
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = process.wait(_TICK)
                if _printed(log, begin) <= MOST_PRINTED:
                    return Done(status, time.monotonic() - began)
            took = time.monotonic() - began
            if _printed(log, begin) > MOST_PRINTED:
                end(process)
                os.truncate(log, begin + _KEPT)
                return Done(None, took, flooded=True)
            if took > limit:
                return Done(None, took)
            tell(took)
    finally:
        end(process)


def _printed(log: Path, begin: int) -> int:
    return log.stat().st_size - begin


def end(process: subprocess.Popen[bytes]) -> None:
    """The program, its group and what was left to this process."""
    for number, patience in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, _GRACE)):
        if process.poll() is not None:
            break
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    end_orphans()


def adopt_orphans() -> None:
    """From now on what a program leaves in the background becomes a child of this process, and end() ends it."""
    global _adopts
    _adopts = _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def end_orphans() -> None:
    """Ends all children of this process, after adopt_orphans(): programs run one at a time."""
    for _round in range(_ROUNDS if _adopts else 0):
        try:
            children = [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
        except OSError:
            return
        if not children:
            return
        for pid in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def put(target: Path, content: bytes) -> None:
    """An executable file of that content, whole at any moment; nothing is written where it is there."""
    if target.is_file() and target.read_bytes() == content:
        return
    own = target.with_name(f".{target.name}.{os.getpid()}")
    own.write_bytes(content)
    own.chmod(0o755)
    own.replace(target)
