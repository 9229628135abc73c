# SPDX-License-Identifier: MIT
"""fork(2) without losing a signal that asks the process to end; what a child gives up; how it ends with its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import threading

from lazyobs.unix import interrupt

_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl


def fork() -> int:
    """As os.fork(). A signal of interrupt.ENDING that comes meanwhile raises in the parent after the fork; in the child
    those that interrupt.catch() caught have their default action.

    Python runs hooks around a fork (logging registers some) and drops what is raised in them. Two things keep a handler
    from running there. The signals are blocked in this thread, also for a child just born. And our handler, which Python
    runs in the main thread even where another thread received the signal, only sets a flag.
    """
    if threading.get_ident() != threading.main_thread().ident:
        return _fork()  # no handler runs in this thread
    interrupt.hold()
    try:
        return _fork()
    finally:
        interrupt.release()


def _fork() -> int:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        # May raise although it has blocked them: it runs the handlers of those that came before.
        signal.pthread_sigmask(signal.SIG_BLOCK, interrupt.ENDING)
        pid = os.fork()
        if pid == 0:
            interrupt.forget_in_child()
        return pid
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def close_all_but(*kept: int) -> None:
    """For a child: closes every descriptor above the standard three but ``kept``. A process without need of the probes'
    descriptors must not hold them, and a pipe whose end of file means "the parent has ended" must not stay open here.
    """
    begin = 3
    for fd in sorted(fd for fd in kept if fd >= 3):
        os.closerange(begin, fd)
        begin = fd + 1
    os.closerange(begin, os.sysconf("SC_OPEN_MAX"))


def die_with_parent(number: int = signal.SIGKILL, parent: int | None = None) -> None:
    """This process gets signal ``number`` when its parent ends. Given the ``parent``'s pid, it exits at once where that
    one has ended already."""
    _prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os._exit(1)
