# SPDX-License-Identifier: MIT
"""A file system that is mounted nowhere: what is in it goes with the process, however that ends."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from lazyobs.unix.syscalls import call

_CLOEXEC = 1  # FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC
_CREATE = 6  # FSCONFIG_CMD_CREATE
_ATTRIBUTES = 2 | 4 | 8  # MOUNT_ATTR_NOSUID, _NODEV, _NOEXEC


@contextlib.contextmanager
def directory() -> Iterator[str]:
    """The path of its root, for this process alone: an empty tmpfs.

    OSError where it is refused: fsmount(2) wants CAP_SYS_ADMIN, and Linux 5.2; the path, /proc.
    """
    with contextlib.ExitStack() as opened:
        context = call("fsopen", b"tmpfs", _CLOEXEC)
        opened.callback(os.close, context)
        call("fsconfig", context, _CREATE, None, None, 0)
        mount = call("fsmount", context, _CLOEXEC, _ATTRIBUTES)
        opened.callback(os.close, mount)
        path = f"/proc/self/fd/{mount}"
        os.stat(path + "/")
        yield path
