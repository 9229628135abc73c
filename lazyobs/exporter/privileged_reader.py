# SPDX-License-Identifier: MIT
"""A process for reading where that takes a capability: it has no network, and the process that serves no capability.

The reader makes whole pages. It cannot open a socket (seccomp), and its only input from the server is single bytes:
there is nothing to parse that could be malformed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct
import threading
from collections.abc import Callable

from lazyobs.exporter.application import Pages
from lazyobs.exporter.page import PageError
from lazyobs.text import say
from lazyobs.unix.fork import fork
from lazyobs.unix.sockets import exactly
from lazyobs.unix.syscalls import number

_LENGTH = struct.Struct("=BI")
_TEXT, _OPENMETRICS = b"t", b"o"

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
# AUDIT_ARCH_* of the machines where a socket takes socket(2): ppc64le and s390x have socketcall(2) as well.
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "riscv64": 0xC00000F3}
_X32 = 0x40000000


class RemotePages:
    """Pages made by ``pages`` in a child process; one thread at a time uses the connection to it."""

    def __init__(self, pages: Callable[[], Pages], close_in_reader: Callable[[], None], patience: float) -> None:
        self._sock, theirs = socket.socketpair()
        self._lock = threading.Lock()
        self.error: str | None = "nothing was read yet"
        self.pid = fork()
        if self.pid == 0:
            status = 1
            try:
                self._sock.close()
                close_in_reader()
                forbid_sockets()
                _answer(theirs, pages())
                status = 0
            except Exception as error:
                say(f"lazyobs: the reader process: {error}")
            finally:
                os._exit(status)
        theirs.close()
        self._sock.settimeout(patience)

    def text(self, openmetrics: bool = False) -> bytes:
        """As Page.text. PageError also when the reader has ended: it is not started again, the service has to be."""
        with self._lock:
            try:
                self._sock.sendall(_OPENMETRICS if openmetrics else _TEXT)
                good, length = _LENGTH.unpack(exactly(self._sock, _LENGTH.size))
                page = exactly(self._sock, length)
            except (OSError, EOFError) as error:
                # A late answer would be taken for that of the next request.
                self._sock.close()
                self.error = f"the reader gave no answer ({error or 'it has ended'})"
                raise PageError(self.error) from None
        if not good:
            self.error = page.decode("utf-8", "replace")
            raise PageError(self.error)
        self.error = None
        return page

    def close(self) -> None:
        """Ends the reader and waits for it."""
        self._sock.close()
        os.waitpid(self.pid, 0)


def _answer(sock: socket.socket, pages: Pages) -> None:
    """One page for every byte, until the other side closes."""
    while True:
        wanted = sock.recv(1)
        if not wanted:
            return
        try:
            good, page = 1, pages.text(wanted == _OPENMETRICS)
        except PageError as error:
            good, page = 0, str(error).encode()
        sock.sendall(_LENGTH.pack(good, len(page)) + page)


def forbid_sockets() -> None:
    """socket(2) and io_uring_setup(2) fail with EACCES from here on; takes no_new_privs. OSError without a filter."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no seccomp filter is known for {machine}")
    load, equal, at_least, give = 0x20, 0x15, 0x35, 0x06
    refuse, allow = 0x00050000 | 13, 0x7FFF0000  # SECCOMP_RET_ERRNO | EACCES, SECCOMP_RET_ALLOW
    program = (
        (load, 0, 0, 4),  # seccomp_data.arch
        (equal, 0, 5, _ARCHITECTURES[machine]),  # another (32-bit) table of system calls: refused
        (load, 0, 0, 0),  # seccomp_data.nr
        (at_least, 3, 0, _X32),
        (equal, 2, 0, number("socket")),
        (equal, 1, 0, number("io_uring_setup")),  # IORING_OP_SOCKET makes sockets too
        (give, 0, 0, allow),
        (give, 0, 0, refuse),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    filter_ = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filter_, 0, 0):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
