# SPDX-License-Identifier: MIT
"""Command lines of processes: /proc/PID/cmdline (proc_pid_cmdline(5)), which any user may read."""

from __future__ import annotations

import os

MOST = 1024  # bytes that are read: a screen shows fewer


def read(pid: int, proc_root: str = "/proc") -> str | None:
    """The arguments with blanks between them; None of a kernel thread, a zombie, and what has ended or is hidden.

    A process can write anything there: what shows it makes it printable."""
    try:
        fd = os.open(f"{proc_root}/{pid}/cmdline", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        raw = os.read(fd, MOST)
    except OSError:
        return None
    finally:
        os.close(fd)
    return raw.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace") or None
