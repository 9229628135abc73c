# SPDX-License-Identifier: MIT
"""A limit on memory (ulimit -v, -d), under which libraries end the program: OpenBLAS with status 1, which of ``report``
is the verdict FAIL, glibc with 127, others by SIGABRT."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Callable

from lazyobs.unix import interrupt

_LIMITS = (resource.RLIMIT_AS, resource.RLIMIT_DATA)


def least() -> int | None:
    """The lower of them, bytes; None where there is none."""
    set_ = [soft for limit in _LIMITS if (soft := resource.getrlimit(limit)[0]) != resource.RLIM_INFINITY]
    return min(set_, default=None)


def are_set() -> bool:
    """Whether this process has such a limit."""
    return least() is not None


def survived(work: Callable[[], int]) -> int | None:
    """The exit code that ``work`` returns in a child; None where the child ended in the middle of it.

    OSError where there can be no child."""
    from lazyobs.unix.fork import die_with_parent  # imports ctypes, which a start without a limit need not pay for

    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receiving)
        die_with_parent(signal.SIGTERM)
        code = work()
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os.write(sending, bytes([code]))
        os._exit(code)
    os.close(sending)
    for number in interrupt.ENDING:
        signal.signal(number, lambda which, _frame: os.kill(child, which))
    with open(receiving, "rb") as answer:
        told = answer.read(1)
    os.waitpid(child, 0)
    for number in interrupt.ENDING:
        signal.signal(number, signal.SIG_DFL)
    return told[0] if told else None
