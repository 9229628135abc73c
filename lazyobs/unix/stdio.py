# SPDX-License-Identifier: MIT
"""Standard output that is closed, that its reader has closed, or that is on a full disk; tracebacks."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from types import TracebackType

from lazyobs.text import printable

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def open_closed_streams() -> None:
    """Opens /dev/null for each standard stream the parent left closed: a file opened later would get its number."""
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # gets the lowest free number: this one
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", closefd=False))  # noqa: SIM115


def print_traceback(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """A sys.excepthook: the message of an error of ours may quote what was read."""
    for line in "".join(traceback.format_exception(kind, error, trace)).split("\n"):
        print(printable(line), file=sys.stderr)


def discard_output() -> None:
    """Sends what is still buffered to /dev/null: writing it at exit would fail once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def is_full(error: OSError) -> bool:
    """Whether a stream could not be written for want of space. (An error of a named file has its name.)"""
    return error.errno in _FULL and error.filename is None
