# SPDX-License-Identifier: MIT
"""fork(2), without losing the signal that asks for the end, and without keeping what is not the child's."""

from __future__ import annotations

import os
import signal

_ASK_FOR_THE_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def fork() -> int:
    """As os.fork(). Python runs hooks around it (logging has some) and forgets what is raised in them: a handler that
    raises, as ours do, would run in one and be for nothing. So those signals wait until the fork is over."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ASK_FOR_THE_END)
    try:
        return os.fork()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def close_all_but(*kept: int) -> None:
    """For a child: every other descriptor above the standard three. Those of probes must not go where they are not needed,
    and those that tell a parent's end must not outlive it."""
    begin = 3
    for fd in sorted(fd for fd in kept if fd >= 3):
        os.closerange(begin, fd)
        begin = fd + 1
    os.closerange(begin, os.sysconf("SC_OPEN_MAX"))
