# SPDX-License-Identifier: MIT
"""The feeds of a session in the browser: everything comes over a socket from the feeder, which has the rights."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from dataclasses import asdict

from lazyobs.screen.state import Reading, ScreenState, Wanted
from lazyobs.screen.web import protocol
from lazyobs.unix.sockets import exactly


class Gone(EOFError):
    """The feeder has ended, and with it what there is to show."""


class _Remote:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def _ask(self, request: dict[str, object]) -> bytes:
        try:
            self._sock.sendall(protocol.framed(protocol.pack(request)))
            return receive(self._sock)
        except OSError as error:
            raise Gone(str(error)) from None

    def close(self) -> None:
        self._sock.close()


class RemoteLive(_Remote):
    """Readings as the feeder takes them."""

    paces = True

    def __init__(self, sock: socket.socket, interval: float, notice: str) -> None:
        super().__init__(sock)
        self.interval, self.notice = interval, notice

    def read(self, wanted: Wanted) -> Reading:
        return protocol.read_reading(self._ask({"wanted": asdict(wanted)}))


class RemoteRecorded(_Remote):
    """Any moment of the feeder's recording."""

    def __init__(self, sock: socket.socket, interval: float, times: Sequence[float]) -> None:
        super().__init__(sock)
        self.interval, self.times = interval, times

    def at(self, position: int, wanted: Wanted) -> ScreenState:
        return protocol.read_moment(self._ask({"at": position, "wanted": asdict(wanted)}))


def connect(sock: socket.socket) -> RemoteLive | RemoteRecorded:
    """By what the feeder says of itself, which it does unasked."""
    about = json.loads(receive(sock))
    if about["times"] is None:
        return RemoteLive(sock, about["interval"], about["notice"])
    return RemoteRecorded(sock, about["interval"], about["times"])


def receive(sock: socket.socket) -> bytes:
    """One piece. Gone at the end."""
    try:
        return exactly(sock, protocol.LENGTH.unpack(exactly(sock, protocol.LENGTH.size))[0])
    except EOFError:
        raise Gone("the feeder has ended") from None
