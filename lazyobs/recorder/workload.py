# SPDX-License-Identifier: MIT
"""``-- COMMAND``: a workload that runs inside the recording, with the caller's permissions.

Its process is forked before root is given up, and waits; it executes the command when the recording has started.
If the recorder ends first, for whatever reason, the command gets SIGTERM. The recorder cannot send that signal
itself, because it runs as the user `nobody` by then: a guardian process of the caller does, which can only wait and
send that signal.
"""

from __future__ import annotations

import os
import signal
import sys

from lazyobs.errors import NotSupported
from lazyobs.text import printable
from lazyobs.unix import interrupt, privileges
from lazyobs.unix.capabilities import CAP_KILL
from lazyobs.unix.fork import close_all_but, fork

_NOT_FOUND, _NOT_RUNNABLE = 127, 126  # as in a shell


class Workload:
    """A command to run. ``status`` is its exit status once it has ended, 128 + N after signal N.

    ``output``: a file descriptor that becomes its standard output and error; None for ours."""

    def __init__(self, command: tuple[str, ...], output: int | None = None) -> None:
        self.command = command
        self.status: int | None = None
        waiting, self._go = os.pipe2(os.O_CLOEXEC)
        sys.stdout.flush(), sys.stderr.flush()
        self.pid = fork()
        if self.pid == 0:
            os.close(self._go)
            _become(command, waiting, output)
        os.close(waiting)
        try:
            process = os.pidfd_open(self.pid)  # not its pid, which another process may have by then
        except OSError as error:
            os.close(self._go)
            raise NotSupported(
                "-- COMMAND",
                f"pidfd_open failed ({error.strerror})",
                "start the command beside lazyobs record",
            ) from None
        # Created after the fork of the command: only the recorder has this end.
        recorder, self._here = os.pipe2(os.O_CLOEXEC)
        self._guardian = fork()
        if self._guardian == 0:
            _guard(recorder, process)
        os.close(recorder)
        os.close(process)

    def begin(self) -> None:
        os.write(self._go, b"x")
        os.close(self._go)
        self._go = -1

    def has_ended(self) -> bool:
        """True once the command has ended; never waits."""
        if self.status is None:
            self._reap(os.WNOHANG)
        return self.status is not None

    def wait(self) -> int:
        """Waits for the command without a limit, and returns its exit status."""
        while self.status is None:
            self._reap(0)
        return self.status

    def _reap(self, flags: int) -> None:
        pid, status = os.waitpid(self.pid, flags)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            self.status = code if code >= 0 else 128 - code

    def close(self) -> None:
        """Ends the command: if it has not started, it never does; if it runs, it gets SIGTERM."""
        if self._go >= 0:
            os.close(self._go)
            self.wait()
        os.close(self._here)
        os.waitpid(self._guardian, 0)


def _guard(recorder: int, process: int) -> None:
    """The code of the guardian; does not return. ``recorder`` is a pipe whose other end closes when the recorder ends,
    ``process`` the command's pidfd."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP):
            signal.signal(number, signal.SIG_IGN)  # signals of a terminal go to every process of the group
        close_all_but(recorder, process)
        privileges.keep_only(frozenset({CAP_KILL}))  # the command may become another user
        os.read(recorder, 1)
        signal.pidfd_send_signal(process, signal.SIGTERM)
    except ProcessLookupError:
        pass  # the command has ended
    finally:
        os._exit(0)


def _become(command: tuple[str, ...], waiting: int, output: int | None) -> None:
    """The code of the child; does not return."""
    try:
        if not os.read(waiting, 1):
            os._exit(0)  # the recording did not start, so the command does not start either
        interrupt.restore()
        if output is not None:
            os.dup2(output, 1), os.dup2(output, 2)
        os.execvpe(command[0], command, os.environ)  # noqa: S606
    except FileNotFoundError:
        _say(command[0], "there is no such command")
        os._exit(_NOT_FOUND)
    except OSError as error:
        _say(command[0], error.strerror or str(error))
        os._exit(_NOT_RUNNABLE)
    except BaseException:
        os._exit(_NOT_RUNNABLE)


def _say(command: str, why: str) -> None:
    line = printable(f"lazyobs: {command!r}: {why}; give a command that can be executed")
    os.write(2, f"{line}\n".encode("utf-8", "replace"))
