# SPDX-License-Identifier: MIT
"""The part of io_uring that registered (pinned) buffers need; see include/uapi/linux/io_uring.h."""

from __future__ import annotations

import ctypes
import os
import struct

from lazyobs.selftest import syscalls
from lazyobs.selftest.syscalls import MAP_SHARED, PAGE, PROT_RW

_OFF_SQ_RING, _OFF_CQ_RING, _OFF_SQES = 0, 0x8000000, 0x10000000
_REGISTER_BUFFERS, _UNREGISTER_BUFFERS = 0, 1
_WRITE_FIXED, _GETEVENTS = 5, 1
_SQE = struct.Struct("=BBHiQQIIQHHiQQ")


class IoUring:
    """A ring with one entry. OSError if the kernel refuses it."""

    def __init__(self) -> None:
        parameters = ctypes.create_string_buffer(120)
        self.fd = syscalls.syscall("io_uring_setup", 1, parameters)
        # struct io_uring_params: ten words, then sq_off and cq_off.
        self._sq = struct.unpack_from("=8I", parameters, 40)
        self._cq = struct.unpack_from("=8I", parameters, 80)
        self._sq_ring = syscalls.mmap(PAGE, PROT_RW, MAP_SHARED, self.fd, offset=_OFF_SQ_RING)
        self._cq_ring = syscalls.mmap(PAGE, PROT_RW, MAP_SHARED, self.fd, offset=_OFF_CQ_RING)
        self._sqes = syscalls.mmap(PAGE, PROT_RW, MAP_SHARED, self.fd, offset=_OFF_SQES)

    def register(self, pages: list[int]) -> None:
        """Pins every page as a separate buffer until ``unregister``."""
        vector = (ctypes.c_uint64 * (2 * len(pages)))(*(word for page in pages for word in (page, PAGE)))
        syscalls.syscall("io_uring_register", self.fd, _REGISTER_BUFFERS, vector, len(pages))

    def unregister(self) -> None:
        syscalls.syscall("io_uring_register", self.fd, _UNREGISTER_BUFFERS, None, 0)

    def write(self, buffer: int, page: int, fd: int, offset: int) -> int:
        """Writes a registered page to a file through the ring; returns the bytes written. OSError if the write fails."""
        request = _SQE.pack(_WRITE_FIXED, 0, 0, fd, offset, page, PAGE, 0, 0, buffer, 0, 0, 0, 0)
        ctypes.memmove(self._sqes, request, len(request))
        tail = ctypes.c_uint32.from_address(self._sq_ring + self._sq[1])
        ctypes.c_uint32.from_address(self._sq_ring + self._sq[6]).value = 0
        tail.value += 1
        syscalls.syscall("io_uring_enter", self.fd, 1, 1, _GETEVENTS, None, 0)
        head = ctypes.c_uint32.from_address(self._cq_ring + self._cq[0])
        mask = ctypes.c_uint32.from_address(self._cq_ring + self._cq[2]).value
        entry = self._cq_ring + self._cq[5] + (head.value & mask) * 16
        result = ctypes.c_int32.from_address(entry + 8).value
        head.value += 1
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result

    def close(self) -> None:
        for ring in (self._sq_ring, self._cq_ring, self._sqes):
            syscalls.munmap(ring, PAGE)
        os.close(self.fd)
