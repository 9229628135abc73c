# SPDX-License-Identifier: MIT
"""The state of the service, sent to systemd (sd_notify(3)) over a socket that is opened at the start."""

from __future__ import annotations

import os
import socket

from lazyobs.text import printable


class Notifier:
    """Sends nothing where $NOTIFY_SOCKET is not set. No watchdog: it would need a wake-up between scrapes."""

    def __init__(self, address: str | None = None) -> None:
        address = os.environ.get("NOTIFY_SOCKET") if address is None else address
        self._socket: socket.socket | None = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            try:
                # A leading @ stands for the abstract namespace (unix(7)).
                self._socket.connect("\0" + address[1:] if address.startswith("@") else address)
            except OSError:
                self._socket.close()
                self._socket = None

    def send(self, **state: object) -> None:
        """``send(ready=1, status="...")`` sends READY=1 and STATUS=...; never fails."""
        if self._socket is None:
            return
        message = "\n".join(
            f"{name.upper()}={printable(' '.join(str(value).split()))}" for name, value in state.items()
        )
        try:
            self._socket.send(message.encode())
        except OSError:
            pass
