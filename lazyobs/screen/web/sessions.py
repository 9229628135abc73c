# SPDX-License-Identifier: MIT
"""Sessions of ``top --web``: a process for each browser, forked from one that has imported everything.

They are not executed, because the user nobody may be unable to read the modules. They are not forked from the web
server, because it runs an event loop. A session holds three pipes to the web server and a socket to the sampler.
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
from lazyobs.screen.settings import AUTO, Settings
from lazyobs.screen.terminal import RICH
from lazyobs.screen.view import View
from lazyobs.screen.web import client
from lazyobs.text import printable
from lazyobs.unix.fork import close_all_but, fork
from lazyobs.views.process_filter import ProcessFilter

_FDS = 4  # keyboard, display, errors, sampler


class SessionParent:
    """The process that forks the sessions. ``start`` is called by the web server."""

    def __init__(self, settings: Settings, process_filter: ProcessFilter, view: str, rows: int | None) -> None:
        self._sock, child_sock = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if fork() == 0:
            try:
                close_all_but(child_sock.fileno())
                _run_parent(child_sock, settings, process_filter, view, rows)
            finally:
                os._exit(0)
        child_sock.close()

    def start(self, fds: tuple[int, int, int, int], width: int, height: int) -> None:
        """Starts a session on these descriptors: keyboard, display, errors, sampler."""
        socket.send_fds(self._sock, [json.dumps([width, height]).encode()], list(fds))


def _run_parent(
    sock: socket.socket, settings: Settings, process_filter: ProcessFilter, view: str, rows: int | None
) -> None:
    """Returns when the web server has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the server, and its end ends this process
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
                sampler = os.dup(fds[3])
                close_all_but(sampler)
                os.environ.update(COLUMNS=str(width), ROWS=str(height), TERM="xterm-256color", COLORTERM="truecolor")
                os.environ.pop("NO_COLOR", None)  # was meant for the terminal that the server was started from
                _session(socket.socket(fileno=sampler), settings, process_filter, view, rows)
            except client.SamplerGone:
                os._exit(0)
            except BaseException as error:
                line = printable(f"lazyobs: a session ended: {type(error).__name__}: {error}")
                os.write(2, f"{line}\n".encode())
            os._exit(1)
        for fd in fds:
            os.close(fd)


def _session(
    sampler: socket.socket, settings: Settings, process_filter: ProcessFilter, view: str, rows: int | None
) -> None:
    feed = client.connect(sampler)
    clock: LiveClock | RecordedClock
    if isinstance(feed, client.RemoteLive):
        clock, notice = LiveClock(feed), feed.notice
    else:
        clock, notice = RecordedClock(feed), ""
    palette = PALETTES[RICH if settings.colours == AUTO else settings.colours]
    shown = View(
        clock, palette, UNICODE, replace(settings), process_filter, view, rows, isinstance(clock, LiveClock), notice
    )
    app = Top(clock, shown, driver_class=WebDriver)
    asyncio.run(app.run_async())
    sys.stdout.flush()
    if app.failure is not None:
        raise app.failure
    os._exit(0)
