# SPDX-License-Identifier: MIT
"""The consumer's side of the loader that stays (stays.py): windows of statistics, and points attached again."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lazyobs.bpf import loader_protocol

SECONDS = 0.05  # of a window: with one a second, statistics are on for a twentieth of the time
_SECONDS_TO_ANSWER = 5.0


@dataclass(frozen=True)
class Window:
    """``programs``: {name: (ns, runs)} within ``seconds``; ``empty_ns``: of a run of an empty program on one of their raw
    tracepoints, None where it was not asked for, or there was no run. None of them where ``why_not`` says why."""

    seconds: float
    programs: dict[str, tuple[int, int]]
    empty_ns: float | None
    why_not: str = ""


class Meter:
    """``cpu_seconds`` and ``rss_bytes``: of that process, as of the last window. ``ended``: why there is none any more."""

    def __init__(self, sock: socket.socket, cpu_seconds: float, end: Callable[[], None]) -> None:
        """``end`` is called to close the socket and reap the process."""
        self._sock, self._end = sock, end
        self._asked = False
        self.cpu_seconds = cpu_seconds
        self.rss_bytes: int | None = None
        self.ended = ""

    def begin(self, floor: bool = False) -> None:
        """A window begins now, unless one is under way."""
        if self._asked or self.ended:
            return
        try:
            loader_protocol.send(self._sock, {"window": SECONDS, "floor": floor})
            self._asked = True
        except ConnectionError:
            self._gone()

    def window(self) -> Window | None:
        """The window that has ended since the last call; does not wait for one that has not."""
        if not self._asked or not select.select([self._sock], [], [], 0)[0]:
            return None
        return self._window()

    def _window(self) -> Window | None:
        reply = self._receive()
        self._asked = False
        if reply is None:
            return None
        self.cpu_seconds, self.rss_bytes = float(reply["cpu_seconds"]), reply["rss_bytes"]
        if "error" in reply:
            return Window(0.0, {}, None, str(reply["error"]))
        programs = {name: (int(spent), int(runs)) for name, (spent, runs) in reply["programs"].items()}
        spent, runs = reply["empty"] or (0, 0)
        return Window(float(reply["seconds"]), programs, spent / runs if runs else None)

    def attach(self, point: str) -> dict[str, int]:
        """{name of the link: its fd} of the point's programs, attached again. OSError if the kernel refuses one."""
        if self._asked:
            self._window()
        if not self.ended:
            try:
                loader_protocol.send(self._sock, {"attach": point})
            except ConnectionError:
                self._gone()
        reply = None if self.ended else self._receive()
        if reply is None:
            raise OSError(self.ended)
        if "error" in reply:
            raise OSError(str(reply["error"]))
        return dict(zip(reply["names"], loader_protocol.receive_fds(self._sock, len(reply["names"]))))

    def _receive(self) -> dict[str, Any] | None:
        self._sock.settimeout(_SECONDS_TO_ANSWER)
        try:
            return loader_protocol.receive(self._sock)
        except (EOFError, OSError, ValueError):
            self._gone()
            return None

    def _gone(self) -> None:
        self._asked = False
        self.ended = "the loader that stayed for the budget has ended"

    def close(self) -> None:
        """Ends that process."""
        self._gone()
        self._end()
