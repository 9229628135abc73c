# SPDX-License-Identifier: MIT
"""The processes of ``-p``, where they are not looked for in samples."""

from __future__ import annotations

import errno
import os
import select

from lazyobs.errors import NotSupported, UsageError

_ABSENT = (errno.ESRCH, errno.ENOENT, errno.EINVAL)  # the last two: a thread that is no process


def absent(pids: tuple[int, ...], live: bool) -> UsageError:
    """The error for ``-p`` where no sample has any of them. Of a recording nothing more can be said."""
    listed = ", ".join(map(str, pids))
    if not live:
        return UsageError(f"-p {listed}", "no such process", "name one of the recording")
    if any(os.path.exists(f"/proc/{pid}") for pid in pids):
        why = "is there, and has no memory that the census sees: a kernel thread, or one the kernel keeps from it"
        return UsageError(f"-p {listed}", why, "name another")
    return UsageError(f"-p {listed}", "no such process", "name one that runs and is no kernel thread")


class ProcessWaiter:
    """Held by descriptors: a number that the kernel gives again is another process."""

    def __init__(self, pids: tuple[int, ...]) -> None:
        """UsageError when none of them is there; those that have ended already are like others that end."""
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
            raise UsageError(f"-p {', '.join(map(str, pids))}", "no such process", "name one that runs")

    def have_ended(self) -> bool:
        """True once all have; never without ``pids``. Does not wait."""
        for fd, _ in self._poll.poll(0) if self._running else ():
            self._poll.unregister(fd)
            self._running.remove(fd)
            os.close(fd)
        return self._any and not self._running

    def close(self) -> None:
        while self._running:
            os.close(self._running.pop())
