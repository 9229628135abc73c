# SPDX-License-Identifier: MIT
"""Runs ``top --web`` in four kinds of process.

- The sampler, this process, holds the source (descriptors of probes, or a recording) and talks only to sessions.
- The web server is forked from it after root is given up, closes all inherited descriptors, and talks to browsers.
- The session parent forks a session for each browser, when the web server asks for one (sessions.py).
- A session draws the screen of one browser. It has no access to the source but through the sampler.

textual-serve's own server would run a shell command for each browser instead. That command would have to be root to
see the kernel; as nobody it might not even be able to read its modules.
"""

from __future__ import annotations

import errno
import os
import signal
import socket

from lazyobs.errors import NotSupported, UsageError
from lazyobs.screen.feed import KernelFeed, ReplayFeed
from lazyobs.screen.settings import Settings
from lazyobs.screen.web import sampler
from lazyobs.text import printable
from lazyobs.unix.address import Address, parse
from lazyobs.unix.fork import close_all_but, fork
from lazyobs.views.process_filter import ProcessFilter

DEFAULT = Address("127.0.0.1", 9798)


def listen(address: str) -> tuple[socket.socket, str]:
    """(socket, host) for HOST:PORT, PORT or HOST. UsageError for a bad address, NotSupported if it cannot be bound.

    ``:PORT`` is every address (unix/address.py), and refused: without password and encryption it has to be explicit.
    """
    host, port = parse("--web", address, DEFAULT)
    if not host:
        why = "is every address of this machine, and there is neither a password nor encryption"
        raise UsageError(f"--web {address}", why, f"use 127.0.0.1:{port}, or 0.0.0.0:{port} if that is meant")
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(where)
        sock.listen(64)
    except socket.gaierror:
        raise UsageError(f"--web {address}", f"there is no host {host}", "use 127.0.0.1:9798") from None
    except OSError as error:
        next_step = "choose another port" if error.errno == errno.EADDRINUSE else "choose another address"
        raise NotSupported(f"--web {address}", f"cannot listen there ({error.strerror})", next_step) from None
    return sock, host


def run(
    listening: socket.socket,
    host: str,
    feed: KernelFeed | ReplayFeed,
    static: dict[str, tuple[bytes, str]],
    settings: Settings,
    process_filter: ProcessFilter,
    view: str,
    rows: int | None,
) -> None:
    """Serves until a signal."""
    from lazyobs.screen.web.server import is_loopback

    print(
        f"lazyobs: http://{printable(str(Address(host, listening.getsockname()[1])))}/ serves a read-only copy of top to browsers; Ctrl-C stops it",
        flush=True,
    )
    if not is_loopback(host):
        print(
            "lazyobs: anyone who can reach that address can see it: there is no password and no encryption", flush=True
        )
    control, server_control = socket.socketpair()
    pid = fork()
    if pid == 0:
        try:
            _serve(listening, host, static, server_control, settings, process_filter, view, rows)
        finally:
            os._exit(0)
    server_control.close()
    listening.close()
    try:
        sampler.run(feed, control)
    finally:
        control.close()
        os.waitpid(pid, 0)


def _serve(
    listening: socket.socket,
    host: str,
    static: dict[str, tuple[bytes, str]],
    control: socket.socket,
    settings: Settings,
    process_filter: ProcessFilter,
    view: str,
    rows: int | None,
) -> None:
    from lazyobs.screen.web import server
    from lazyobs.screen.web.sessions import SessionParent
    from lazyobs.unix import privileges

    close_all_but(listening.fileno(), control.fileno())
    privileges.give_up_root()  # without root (a recording), the sampler keeps the caller's rights; the server needs none
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    server.serve(listening, host, static, SessionParent(settings, process_filter, view, rows), control)
