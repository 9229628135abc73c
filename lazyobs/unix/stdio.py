# SPDX-License-Identifier: MIT
"""Standard streams that are closed, that their reader has closed, or that are on a full disk; tracebacks."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import sys
import traceback
from types import TracebackType
from typing import Any

from lazyobs.text import printable

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
# What the machine is out of, and no error of ours: descriptors, memory, processes.
_SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)
_OUT_OF_MEMORY = "OutOfMemoryException"  # of DuckDB: a RuntimeError by its class
# dlopen(3) says why in words alone.
_SCARCE_WORDS = ("failed to map segment", "cannot allocate memory", "too many open files", "cannot map zero-fill pages")


class _Lenient(io.FileIO):
    """A stream whose errors do not matter: that a remark cannot be read must not end a recording of a day."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data) or len(data)  # None where it is full now and does not block
        except OSError:
            return len(data)


def open_closed_streams() -> None:
    """Opens /dev/null for each standard stream the parent left closed: a file opened later would get its number; and
    for those that cannot be written. From now on errors of standard error are passed over."""
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            if number and fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
                os.close(number)  # a shell that runs a script with 2>&- has that script there
        except OSError:
            pass
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # gets the lowest free number: this one
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    encoding = sys.stderr.encoding if sys.stderr is not None else "utf-8"
    lenient = io.BufferedWriter(_Lenient(2, "w", closefd=False))
    sys.stderr = io.TextIOWrapper(lenient, encoding, "backslashreplace", line_buffering=True)


def print_traceback(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """A sys.excepthook: the message of an error of ours may quote what was read."""
    for line in "".join(traceback.format_exception(kind, error, trace)).split("\n"):
        print(printable(line), file=sys.stderr)


def discard_output() -> None:
    """Sends what is still buffered to /dev/null: writing it at exit would fail once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def scarce(error: BaseException) -> str:
    """What the machine, or a limit of this process, is out of; "" for another error."""
    if isinstance(error, MemoryError) or type(error).__name__ == _OUT_OF_MEMORY:
        return "out of memory"
    if isinstance(error, OSError) and error.errno in _SCARCE:
        return os.strerror(error.errno).lower()
    if isinstance(error, ImportError):  # numpy, scipy and others quote the cause, some lines below
        text = str(error).lower()
        return "out of memory or open files" if any(words in text for words in _SCARCE_WORDS) else ""
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return "no further thread is allowed"
    return ""


def is_full(error: OSError) -> bool:
    """Whether a stream could not be written for want of space. (An error of a named file has its name.)"""
    return error.errno in _FULL and error.filename is None
