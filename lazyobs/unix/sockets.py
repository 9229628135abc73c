# SPDX-License-Identifier: MIT
"""Reading from a stream socket."""

from __future__ import annotations

import socket

_MOST_AT_ONCE = 1 << 20


def exactly(sock: socket.socket, length: int) -> bytes:
    """The next ``length`` bytes. EOFError where the other side closes before that; OSError as of recv()."""
    parts = []
    while length:
        part = sock.recv(min(length, _MOST_AT_ONCE))
        if not part:
            raise EOFError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
