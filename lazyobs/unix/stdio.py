# SPDX-License-Identifier: MIT
"""Standard output, as the end of a command meets it: closed, given up by its reader, or on a full disk."""

from __future__ import annotations

import errno
import os
import sys

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def make_sure_of_the_standard_three() -> None:
    """Whoever began us may have closed some: a file opened later must not get the number of one."""
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # gets the lowest number that is free: this one
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", closefd=False))  # noqa: SIM115


def give_up() -> None:
    """Nothing more is written: what waits in buffers would fail once more when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def is_full(error: OSError) -> bool:
    """Whether it is the error of a write to a stream: whoever writes files says which."""
    return error.errno in _FULL and error.filename is None
