# SPDX-License-Identifier: MIT
"""Messages between the loader and its consumer: a length, JSON, and file descriptors behind it."""

from __future__ import annotations

import json
import os
import resource
import socket
import struct
from typing import Any

from lazyobs.errors import BpfRefused
from lazyobs.unix.sockets import exactly

_LENGTH = struct.Struct("=I")
_MOST_BYTES = 16 << 20
_FDS_A_MESSAGE = 200  # the kernel takes 253 (SCM_MAX_FD)


def send(sock: socket.socket, message: dict[str, Any], fds: list[int] | None = None) -> None:
    """One message; ``fds`` follow it in order."""
    body = json.dumps(message).encode()
    sock.sendall(_LENGTH.pack(len(body)) + body)
    for start in range(0, len(fds or []), _FDS_A_MESSAGE):
        socket.send_fds(sock, [b"f"], (fds or [])[start : start + _FDS_A_MESSAGE])


def receive(sock: socket.socket) -> dict[str, Any]:
    """One message. EOFError when the other side is gone, ValueError when it talks nonsense."""
    (length,) = _LENGTH.unpack(exactly(sock, _LENGTH.size))
    if length > _MOST_BYTES:
        raise ValueError(f"a message of {length} bytes")
    message = json.loads(exactly(sock, length))
    if not isinstance(message, dict):
        raise ValueError("a message that is no object")
    return message


def receive_fds(sock: socket.socket, count: int) -> list[int]:
    """``count`` descriptors, close-on-exec. EOFError (and none left open) when not all arrive; BpfRefused where this
    process may not have so many."""
    fds: list[int] = []
    try:
        while len(fds) < count:
            data, more, flags, _address = socket.recv_fds(sock, 1, min(count - len(fds), _FDS_A_MESSAGE))
            fds += more
            if not data:
                raise EOFError
            if flags & socket.MSG_CTRUNC:  # unix(7): what does not fit under RLIMIT_NOFILE is closed
                raise _too_few(count)
        for fd in fds:
            _close_on_exec(fd)
    except BaseException:
        close_all(fds)
        raise
    return fds


def _too_few(count: int) -> BpfRefused:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    why = f"they take {count} open files, and this process may have {most} in all (ulimit -n)"
    return BpfRefused("loading the probes", why, "run ulimit -n 1024 first")


def close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def _close_on_exec(fd: int) -> None:
    os.set_inheritable(fd, False)
