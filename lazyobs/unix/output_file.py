# SPDX-License-Identifier: MIT
"""A file to write, whose name the user gives, in a directory that others may write to as well."""

from __future__ import annotations

import errno
import os
import stat
from typing import TextIO


def create(path: str) -> TextIO:
    """The file, empty, for UTF-8. OSError where it cannot be written, or is a link that neither root nor this user made:
    whoever can write to a recording's directory could have root overwrite any file. (The kernel refuses that in
    directories like /tmp alone: fs.protected_symlinks.)"""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    if not _is_trusted_link(path):
        flags |= os.O_NOFOLLOW
    try:
        fd = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP and flags & os.O_NOFOLLOW:
            raise OSError(errno.ELOOP, "it is a link of another user") from None
        raise
    return open(fd, "w", encoding="utf-8")


def _is_trusted_link(path: str) -> bool:
    """Links of root, such as /dev/stdout, are followed, and those of this user."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISLNK(found.st_mode) and found.st_uid in (0, os.geteuid())
