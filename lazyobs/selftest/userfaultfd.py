# SPDX-License-Identifier: MIT
"""The part of userfaultfd(2) that the scenarios use (include/uapi/linux/userfaultfd.h)."""

from __future__ import annotations

import fcntl
import os
import struct

from lazyobs.selftest import syscalls

_API = 0xAA
FEATURE_PAGEFAULT_FLAG_WP, FEATURE_MOVE = 1 << 0, 1 << 16
MISSING, WRITE_PROTECTED = 1, 2
_EVENT_PAGEFAULT = 0x12
_MESSAGE = struct.Struct("=BBHIQQQ")


def _request(number: int, size: int) -> int:
    return 3 << 30 | size << 16 | _API << 8 | number  # _IOWR


_UFFDIO_API = _request(0x3F, 24)
_REGISTER = _request(0x00, 32)
_COPY = _request(0x03, 40)
_MOVE = _request(0x05, 40)
_WRITEPROTECT = _request(0x06, 24)


class Userfaultfd:
    """One descriptor. OSError if the kernel refuses it or lacks a feature."""

    def __init__(self, features: int) -> None:
        self.fd = syscalls.syscall("userfaultfd", os.O_CLOEXEC)
        try:
            fcntl.ioctl(self.fd, _UFFDIO_API, struct.pack("=QQQ", _API, features, 0))
        except OSError:
            os.close(self.fd)
            raise

    def register(self, address: int, length: int, mode: int) -> None:
        fcntl.ioctl(self.fd, _REGISTER, struct.pack("=QQQQ", address, length, mode, 0))

    def copy(self, target: int, source: int, length: int) -> None:
        """Fills missing pages at ``target`` with a copy."""
        fcntl.ioctl(self.fd, _COPY, struct.pack("=QQQQq", target, source, length, 0, 0))

    def move(self, target: int, source: int, length: int) -> None:
        """Moves the pages from ``source`` to the missing pages at ``target``, without a copy."""
        fcntl.ioctl(self.fd, _MOVE, struct.pack("=QQQQq", target, source, length, 0, 0))

    def protect(self, address: int, length: int, protected: bool) -> None:
        """Sets write protection, or removes it and wakes the waiting threads."""
        fcntl.ioctl(self.fd, _WRITEPROTECT, struct.pack("=QQQ", address, length, int(protected)))

    def fault(self) -> int:
        """Waits for a fault; returns its page address."""
        event, _, _, _, _flags, address, _ = _MESSAGE.unpack(os.read(self.fd, _MESSAGE.size))
        if event != _EVENT_PAGEFAULT:
            raise ValueError(f"userfaultfd event {event:#x}")
        return int(address) & -syscalls.PAGE

    def close(self) -> None:
        os.close(self.fd)


def why_not(features: int) -> str:
    """Why userfaultfd cannot be used with these features, or ""."""
    try:
        Userfaultfd(features).close()
    except OSError as error:
        what = "userfaultfd" if error.errno in (1, 38) or not features else f"userfaultfd feature {features:#x}"
        return f"{what} is refused ({os.strerror(error.errno or 0)})"
    return ""
