# SPDX-License-Identifier: MIT
"""The feeds of a browser's session: all data comes over a socket from the sampler."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from dataclasses import asdict

from lazyobs.screen.state import LiveUpdate, ScreenState, Wanted
from lazyobs.screen.web import protocol
from lazyobs.unix.sockets import exactly


class SamplerGone(EOFError):
    """The sampler has ended: there is nothing left to show."""


class _Remote:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def _ask(self, request: dict[str, object]) -> bytes:
        try:
            self._sock.sendall(protocol.frame(protocol.pack(request)))
            return receive(self._sock)
        except OSError as error:
            raise SamplerGone(str(error)) from None

    def close(self) -> None:
        self._sock.close()


class RemoteLive(_Remote):
    """Samples as the sampler takes them."""

    paces = True

    def __init__(self, sock: socket.socket, interval: float, notice: str) -> None:
        super().__init__(sock)
        self.interval, self.notice = interval, notice

    def read(self, wanted: Wanted) -> LiveUpdate:
        return protocol.unpack_update(self._ask({"wanted": asdict(wanted)}))


class RemoteRecorded(_Remote):
    """Any sample of the sampler's recording."""

    def __init__(self, sock: socket.socket, interval: float, times: Sequence[float]) -> None:
        super().__init__(sock)
        self.interval, self.times = interval, times

    def at(self, position: int, wanted: Wanted) -> ScreenState:
        return protocol.unpack_screen_state(self._ask({"at": position, "wanted": asdict(wanted)}))


def connect(sock: socket.socket) -> RemoteLive | RemoteRecorded:
    """The feed that the sampler announces in its first message."""
    about = json.loads(receive(sock))
    if about["times"] is None:
        return RemoteLive(sock, about["interval"], about["notice"])
    return RemoteRecorded(sock, about["interval"], about["times"])


def receive(sock: socket.socket) -> bytes:
    """One message. SamplerGone if there is none left, or its length is nonsense."""
    try:
        length = protocol.LENGTH.unpack(exactly(sock, protocol.LENGTH.size))[0]
        if length > protocol.MOST_ANSWER:
            raise SamplerGone(f"the sampler sent a message of {length} bytes")
        return exactly(sock, length)
    except EOFError:
        raise SamplerGone("the sampler has ended") from None
