# SPDX-License-Identifier: MIT
"""Landlock: this process and what it starts can write below the given folders and nowhere else, for good.

Reading stays as it is. It needs no privilege (include/uapi/linux/landlock.h, since 5.13); what a kernel's version of it
does not know is left out. Call privileges.no_new_privileges() first.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from lazyobs.unix import syscalls

_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_PATH_BENEATH = 1
_WRITE_FILE, _TRUNCATE = 1 << 1, 1 << 14
_OF_FILES = _WRITE_FILE | _TRUNCATE
# WRITE_FILE, REMOVE_DIR to MAKE_SYM: what changes a file or a folder.
_CHANGES = _WRITE_FILE | sum(1 << bit for bit in range(4, 13))
_REFER, _TRUNCATE_SINCE, _TCP = 2, 3, 4  # versions: links between folders, truncate(2), TCP
_BIND_TCP, _CONNECT_TCP = 1, 2


class _Ruleset(ctypes.Structure):
    _fields_ = [("handled_access_fs", ctypes.c_uint64), ("handled_access_net", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32)]


def version() -> int:
    """Which version of Landlock the kernel has; 0 where it has none, or it is switched off."""
    try:
        return syscalls.call("landlock_create_ruleset", None, 0, _VERSION)
    except OSError:
        return 0


def write_only_below(places: Iterable[Path]) -> str:
    """Restricts this process. Returns why it could not, "" where it did. From version 4 on TCP is closed, too."""
    known = version()
    if not known:
        return "this kernel has no Landlock"
    handled = _CHANGES | (1 << 13 if known >= _REFER else 0) | (_TRUNCATE if known >= _TRUNCATE_SINCE else 0)
    ruleset = _Ruleset(handled, _BIND_TCP | _CONNECT_TCP if known >= _TCP else 0)
    size = ctypes.sizeof(ruleset) if known >= _TCP else 8
    try:
        fd = syscalls.call("landlock_create_ruleset", ctypes.byref(ruleset), size, 0)
        try:
            for place in places:
                _allow(fd, place, handled)
            syscalls.call("landlock_restrict_self", fd, 0)
        finally:
            os.close(fd)
    except OSError as error:
        return f"Landlock: {error.strerror}"
    return ""


def _allow(ruleset: int, place: Path, handled: int) -> None:
    try:
        fd = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        access = handled if stat.S_ISDIR(os.fstat(fd).st_mode) else handled & _OF_FILES
        rule = _Beneath(access, fd)
        syscalls.call("landlock_add_rule", ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(fd)
