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
    """For a child that waits for the end of its parent: descriptors of probes, and of pipes that tell an end, must not
    outlive the parent. The standard ones stay."""
    for fd in range(3, 1024):
        if fd not in kept:
            try:
                os.close(fd)
            except OSError:
                continue
