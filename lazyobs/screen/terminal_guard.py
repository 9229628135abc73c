# SPDX-License-Identifier: MIT
"""Restores the terminal when the program is killed and cannot (SIGKILL, out of memory).

A child process waits for a pipe to close. A program that ends normally writes to the pipe first, and the child then
does nothing.
"""

from __future__ import annotations

import os
import signal
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lazyobs.screen.driver import RESTORE
from lazyobs.unix.fork import close_all_but, fork

_DONE = b"."


@contextmanager
def guard(keyboard: int, display: int) -> Iterator[None]:
    """While this is active, the terminal is restored however this process ends."""
    try:
        modes = termios.tcgetattr(keyboard)
    except termios.error:
        yield  # no terminal, nothing to restore
        return
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    pid = fork()
    if pid == 0:
        try:
            os.close(write_end)
            _watch(read_end, keyboard, display, modes)
        finally:
            os._exit(0)
    os.close(read_end)
    try:
        yield
    finally:
        os.write(write_end, _DONE)
        os.close(write_end)
        os.waitpid(pid, 0)


def _watch(read_end: int, keyboard: int, display: int, modes: list[Any]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP, signal.SIGTTOU, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    close_all_but(read_end, keyboard, display)
    if os.read(read_end, 1) == _DONE:
        return
    try:
        termios.tcsetattr(keyboard, termios.TCSANOW, modes)
        os.write(display, RESTORE.encode())
    except (OSError, termios.error):
        pass  # the terminal is gone too
