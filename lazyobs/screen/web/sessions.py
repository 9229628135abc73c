# SPDX-License-Identifier: MIT
"""Sessions of ``top --web``: one process each, split off from a process that has everything imported.

They are forked and not executed, because nobody may not be able to read where the modules lie; and from a process
of their own, because the web server's has a running event loop. A session has three pipes to the web server, a
socket to the feeder, and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from dataclasses import replace

from textual.drivers.web_driver import WebDriver

from lazyobs.screen.app import Top
from lazyobs.screen.clocks import LiveClock, RecordedClock
from lazyobs.screen.palette import PALETTES, UNICODE
from lazyobs.screen.rows import Filter
from lazyobs.screen.settings import AUTO, Settings
from lazyobs.screen.terminal import RICH
from lazyobs.screen.view import View
from lazyobs.screen.web import client
from lazyobs.unix.fork import close_all_but, fork

_FDS = 4  # keyboard, display, errors, feeder


class Maker:
    """The process that makes sessions. ``make`` is the web server's side of it."""

    def __init__(self, settings: Settings, wanted: Filter, view: str, rows: int | None) -> None:
        self._sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if fork() == 0:
            try:
                close_all_but(theirs.fileno())
                _make_all(theirs, settings, wanted, view, rows)
            finally:
                os._exit(0)
        theirs.close()

    def make(self, fds: tuple[int, int, int, int], width: int, height: int) -> None:
        """A session on these descriptors (keyboard, display, errors, feeder)."""
        socket.send_fds(self._sock, [json.dumps([width, height]).encode()], list(fds))


def _make_all(sock: socket.socket, settings: Settings, wanted: Filter, view: str, rows: int | None) -> None:
    """Until the web server has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal; the end of the server is what ends it
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # sessions are not waited for
    while True:
        message, fds, _, _ = socket.recv_fds(sock, 256, _FDS)
        if not message:
            return
        if fork() == 0:
            try:
                width, height = json.loads(message)
                for target, fd in enumerate(fds[:3]):
                    os.dup2(fd, target)
                feeder = os.dup(fds[3])
                close_all_but(feeder)
                os.environ.update(COLUMNS=str(width), ROWS=str(height), TERM="xterm-256color", COLORTERM="truecolor")
                os.environ.pop("NO_COLOR", None)  # of the terminal that the server was started from
                _session(socket.socket(fileno=feeder), settings, wanted, view, rows)
            except client.Gone:
                os._exit(0)
            except BaseException as error:
                os.write(2, f"lazyobs: a session ended: {type(error).__name__}: {error}\n".encode())
            os._exit(1)
        for fd in fds:
            os.close(fd)


def _session(feeder: socket.socket, settings: Settings, wanted: Filter, view: str, rows: int | None) -> None:
    feed = client.connect(feeder)
    clock: LiveClock | RecordedClock
    if isinstance(feed, client.RemoteLive):
        clock, notice = LiveClock(feed), feed.notice
    else:
        clock, notice = RecordedClock(feed), ""
    palette = PALETTES[RICH if settings.colours == AUTO else settings.colours]
    seen = View(clock, palette, UNICODE, replace(settings), wanted, view, rows, isinstance(clock, LiveClock), notice)
    app = Top(clock, seen, driver_class=WebDriver)
    asyncio.run(app.run_async())
    sys.stdout.flush()
    if app.failure is not None:
        raise app.failure
    os._exit(0)
