# SPDX-License-Identifier: MIT
"""Puts the terminal back where the program could not: it was killed (SIGKILL, out of memory).

A process that waits for a pipe to close. It is told when all went well and then does nothing.
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
def watching(keyboard: int, display: int) -> Iterator[None]:
    """While this holds, the end of this process does not leave the terminal in a state that no shell can use."""
    try:
        modes = termios.tcgetattr(keyboard)
    except termios.error:
        yield  # no terminal, nothing to put back
        return
    reading, writing = os.pipe2(os.O_CLOEXEC)
    pid = fork()
    if pid == 0:
        try:
            os.close(writing)
            _watch(reading, keyboard, display, modes)
        finally:
            os._exit(0)
    os.close(reading)
    try:
        yield
    finally:
        os.write(writing, _DONE)
        os.close(writing)
        os.waitpid(pid, 0)


def _watch(reading: int, keyboard: int, display: int, modes: list[Any]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP, signal.SIGTTOU, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    close_all_but(reading, keyboard, display)
    if os.read(reading, 1) == _DONE:
        return
    try:
        termios.tcsetattr(keyboard, termios.TCSANOW, modes)
        os.write(display, RESTORE.encode())
    except (OSError, termios.error):
        pass  # the terminal has gone too
