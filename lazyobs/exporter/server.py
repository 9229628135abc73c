# SPDX-License-Identifier: MIT
"""HTTP for scrapes: a bounded number of connections, a thread and one answer for each, all within a deadline.

A client that is slow, silent or sends too much is disconnected at its deadline or at a byte count. At the limit of
connections the address with the most loses its oldest silent one, so that a scrape always gets in. Without connections
nothing wakes up. The standard library parses the requests (request.py).

No kept server does this (tried with clients that send a byte at a time, 64 at once, and idle for ten seconds):

- http.server, which prometheus_client's start_http_server uses: no limit of threads; its timeout is of each recv(),
  so a byte at a time keeps a connection for ever; a TLS handshake blocks accept(); it wakes up twice a second.
- cheroot 11.1: the same kind of timeout, and such clients occupy all workers (8): no scrape gets in. The TLS handshake
  blocks accept() too; it wakes up twice a second and takes 2.6 MB more.
- waitress 3.0: no TLS; its timeout counts from the last byte, and at its limit of connections it stops accepting: no
  scrape gets in. It wakes up once a second.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from lazyobs.errors import NotSupported
from lazyobs.exporter.admission import PACE, Budget, Shortage
from lazyobs.exporter.request import Application, Handler
from lazyobs.unix.address import Address

_BACKLOG = 128
_FIRST_PASSED = 3  # SD_LISTEN_FDS_START


@dataclass(eq=False)
class _Connection:
    sock: socket.socket
    address: str
    deadline: float
    number: int
    heard: bool = False  # the request is complete; connections without one are cut first

    def is_heard(self) -> None:
        self.heard = True

    def cut(self) -> None:
        """Ends it: a thread that reads from it or writes to it wakes up."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def listen(address: Address) -> socket.socket:
    """A listening socket. NotSupported where the address is taken or not of this machine."""
    host, port = address
    try:
        if not host:
            both = socket.has_dualstack_ipv6()
            family = socket.AF_INET6 if both else socket.AF_INET
            return socket.create_server(("", port), family=family, backlog=_BACKLOG, dualstack_ipv6=both)
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        why = error.strerror or str(error)
        raise NotSupported(f"listening on {address}", why, "choose another address with --listen") from None


def inherited() -> socket.socket | None:
    """The listening socket that systemd has passed (sd_listen_fds(3)); None where it has passed none. NotSupported where
    what it has passed is not one listening socket."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    count = os.environ.get("LISTEN_FDS", "")
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    what, next_step = "the socket unit", "give it one ListenStream=, as in lazyobs.socket"
    if count != "1":
        raise NotSupported(what, f"passes {count or 'no'} sockets", next_step)
    try:
        found = socket.socket(fileno=_FIRST_PASSED)
        found.set_inheritable(False)
        listens = found.type == socket.SOCK_STREAM and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise NotSupported(what, f"passes no socket ({error.strerror})", next_step) from None
    if not listens or found.family not in (socket.AF_INET, socket.AF_INET6):
        raise NotSupported(what, "passes a socket that does not listen for TCP", next_step)
    found.setblocking(True)
    return found


class Server:
    """Serves ``application`` on a listening socket until ``stop``."""

    def __init__(
        self,
        listening: socket.socket,
        application: Application,
        tls: ssl.SSLContext | None = None,
        most: int = 64,
        seconds: float = 10.0,
        pace: float = PACE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``most`` connections at a time, each for ``seconds``; ``pace``: new ones a second."""
        self._listening, self._application, self._tls = listening, application, tls
        self._most, self._seconds, self._clock = most, seconds, clock
        self._budget = Budget(pace, clock)
        self._shortage = Shortage(clock)
        self._connections: dict[int, _Connection] = {}
        self._lock = threading.Lock()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._stopping = False
        self.accepted = self.cut = 0

    @property
    def trouble(self) -> str:
        """Why connections could not be accepted in the last minute; "" if all could."""
        return self._shortage.lately

    def serve(self) -> None:
        """Until ``stop``, or an exception in this thread (a signal)."""
        self._listening.setblocking(False)
        poll = select.poll()
        poll.register(self._wake_reader, select.POLLIN)
        try:
            while not self._stopping:
                # Only polled while a connection may be accepted: a waiting one would end each poll at once.
                pause = max(self._budget.seconds_until_next(), self._shortage.seconds_until_next())
                if not pause:
                    poll.register(self._listening, select.POLLIN)
                ready = poll.poll(_earlier(self._until_deadline(), pause * 1000 + 1 if pause else None))
                if not pause:
                    poll.unregister(self._listening)
                if any(fd == self._listening.fileno() for fd, _ in ready):
                    self._accept()
                self._cut_late()
        finally:
            with self._lock:
                for connection in self._connections.values():
                    connection.cut()

    def stop(self) -> None:
        """Ends ``serve``, from any thread."""
        self._stopping = True
        self._wake_writer.send(b"x")

    def _until_deadline(self) -> float | None:
        """Milliseconds until the first connection is late; None (for ever) where there are none."""
        with self._lock:
            deadlines = [connection.deadline for connection in self._connections.values()]
        return max(0.0, min(deadlines) - self._clock()) * 1000 + 1 if deadlines else None

    def _accept(self) -> None:
        try:
            sock, address = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            self._shortage.met(error)
            with self._lock:  # a silent connection gives its descriptor up; the others end at their deadlines
                if any(not connection.heard for connection in self._connections.values()):
                    self._make_room()
            return
        self._shortage.over()
        self._budget.take()
        sock.setblocking(True)
        self.accepted += 1
        connection = _Connection(sock, str(address[0]), self._clock() + self._seconds, self.accepted)
        with self._lock:
            if len(self._connections) >= self._most:
                self._make_room()
            self._connections[connection.number] = connection
        try:
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()
        except RuntimeError:  # no more threads
            self._end(connection)

    def _make_room(self) -> None:
        """Cuts the oldest connection without a complete request, of the address that has the most connections."""
        by_address = Counter(connection.address for connection in self._connections.values())
        greedy = max(by_address, key=lambda address: by_address[address])
        theirs = [connection for connection in self._connections.values() if connection.address == greedy]
        self._cut(min(theirs, key=lambda connection: (connection.heard, connection.number)).number)

    def _cut_late(self) -> None:
        now = self._clock()
        with self._lock:
            for number in [number for number, c in self._connections.items() if c.deadline <= now]:
                self._cut(number)

    def _cut(self, number: int) -> None:
        self._connections.pop(number).cut()
        self.cut += 1

    def _answer(self, connection: _Connection) -> None:
        try:
            connection.sock.settimeout(self._seconds)
            if self._tls is None:
                Handler(connection.sock, self._application, connection.is_heard)
            else:
                # On a duplicate, so that cut() has the plain socket, also in the middle of a handshake.
                with self._tls.wrap_socket(connection.sock.dup(), server_side=True) as sock:
                    Handler(sock, self._application, connection.is_heard)
        except (OSError, ValueError):  # gone, late, or no TLS: there is no one to answer
            pass
        finally:
            self._end(connection)

    def _end(self, connection: _Connection) -> None:
        with self._lock:
            self._connections.pop(connection.number, None)
        connection.cut()
        connection.sock.close()


def _earlier(one: float | None, other: float | None) -> float | None:
    return min(found) if (found := [time for time in (one, other) if time is not None]) else None
