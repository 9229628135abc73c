# SPDX-License-Identifier: MIT
"""Waiting for the processes of ``-p`` to end (pidfd_open(2))."""

from __future__ import annotations

import errno
import os
import select

from lazyobs.errors import NotSupported
from lazyobs.unix.process_id import NOTHING, refusal, why_no_process

_ABSENT = (errno.ESRCH, errno.ENOENT, errno.EINVAL)  # ENOENT or EINVAL: the number of a thread, not of a process


class ProcessWaiter:
    """Holds the processes by descriptor, so that a pid the kernel uses again is not taken for the old process."""

    def __init__(self, pids: tuple[int, ...]) -> None:
        """UsageError where none of ``pids`` exists; one that has ended already counts as ended."""
        self._any = bool(pids)
        self._poll = select.poll()
        self._running: set[int] = set()
        for pid in pids:
            try:
                fd = os.pidfd_open(pid)
            except OSError as error:
                if error.errno in _ABSENT:
                    continue
                self.close()
                raise NotSupported(f"-p {pid}", f"cannot be watched ({error.strerror})", "leave -p out") from None
            self._running.add(fd)
            self._poll.register(fd, select.POLLIN)
        if pids and not self._running:
            # One that ended in between has no reason in /proc any more.
            raise refusal({pid: why_no_process(pid) or NOTHING for pid in pids})

    def have_ended(self) -> bool:
        """True once all have ended; never without ``pids``. Does not wait."""
        for fd, _ in self._poll.poll(0) if self._running else ():
            self._poll.unregister(fd)
            self._running.remove(fd)
            os.close(fd)
        return self._any and not self._running

    def close(self) -> None:
        while self._running:
            os.close(self._running.pop())
