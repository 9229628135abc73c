# SPDX-License-Identifier: MIT
"""``-- COMMAND``: a workload that runs inside the recording, with the permissions of whoever called.

Its process is made before root is given up, and waits; it becomes the command when the recording has
begun. It is asked to end (SIGTERM) if the recorder ends first.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from lazyobs.forking import fork

_PR_SET_PDEATHSIG = 1
_NOT_FOUND, _NOT_RUNNABLE = 127, 126  # as a shell has it
_libc = ctypes.CDLL(None)


class Workload:
    """A command about to run. ``status`` is its exit status once it has ended, 128 + N after signal N."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self.command = command
        self.status: int | None = None
        waiting, self._go = os.pipe2(os.O_CLOEXEC)
        sys.stdout.flush(), sys.stderr.flush()
        parent = os.getpid()
        self.pid = fork()
        if self.pid == 0:
            os.close(self._go)
            _become(command, waiting, parent)
        os.close(waiting)

    def begin(self) -> None:
        os.write(self._go, b"x")
        os.close(self._go)
        self._go = -1

    def has_ended(self) -> bool:
        """True once it has; never waits."""
        if self.status is None:
            self._reap(os.WNOHANG)
        return self.status is not None

    def wait(self) -> int:
        """Its exit status, however long that takes."""
        while self.status is None:
            self._reap(0)
        return self.status

    def _reap(self, flags: int) -> None:
        pid, status = os.waitpid(self.pid, flags)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            self.status = code if code >= 0 else 128 - code

    def give_up(self) -> None:
        """Ends it before it has begun; it is left alone afterwards."""
        if self._go >= 0:
            os.close(self._go)
            self._go = -1
            self.wait()


def _become(command: tuple[str, ...], waiting: int, parent: int) -> None:
    """The child's part; does not return."""
    try:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent or not os.read(waiting, 1):
            os._exit(0)  # the recording has not begun, so neither do we
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.execvp(command[0], command)  # noqa: S606
    except FileNotFoundError:
        _say(command[0], "there is no such command")
        os._exit(_NOT_FOUND)
    except OSError as error:
        _say(command[0], error.strerror or str(error))
        os._exit(_NOT_RUNNABLE)
    except BaseException:
        os._exit(_NOT_RUNNABLE)


def _say(command: str, why: str) -> None:
    os.write(2, f"lazyobs: {command!r}: {why}; give a command that runs by itself\n".encode("utf-8", "replace"))
