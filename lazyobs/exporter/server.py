# SPDX-License-Identifier: MIT
"""HTTP for scrapes: a bounded number of connections, a thread and one answer for each, all within a deadline.

A client that is slow, silent or sends too much is disconnected at its deadline or at a byte count. At the limit of
connections the address with the most loses its oldest silent one, so that a scrape always gets in. Without connections
nothing wakes up. The standard library parses the requests.

No kept server does this (tried with clients that send a byte at a time, 64 at once, and idle for ten seconds):

- http.server, which prometheus_client's start_http_server uses: no limit of threads; its timeout is of each recv(),
  so a byte at a time keeps a connection for ever; a TLS handshake blocks accept(); it wakes up twice a second.
- cheroot 11.1: the same kind of timeout, and such clients occupy all workers (8): no scrape gets in. The TLS handshake
  blocks accept() too; it wakes up twice a second and takes 2.6 MB more.
- waitress 3.0: no TLS; its timeout counts from the last byte, and at its limit of connections it stops accepting: no
  scrape gets in. It wakes up once a second.
"""

from __future__ import annotations

import io
import select
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from lazyobs.errors import NotSupported
from lazyobs.unix.address import Address

MOST_REQUEST_BYTES = 16384
_MOST_IGNORED_BYTES = 1 << 20  # read of a refused request, so that its sender gets to read the answer
_METHODS = ("GET", "HEAD")
_BACKLOG = 128


@dataclass(frozen=True)
class Answer:
    """One HTTP response; ``headers`` beyond the length and the type."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


# (path, headers with lower-case names) -> Answer; called for GET and HEAD, from any thread.
Application = Callable[[str, Mapping[str, str]], Answer]


@dataclass(eq=False)
class _Connection:
    sock: socket.socket
    address: str
    deadline: float
    number: int
    heard: bool = False  # the request is complete; connections without one are cut first

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


class Server:
    """Serves ``application`` on a listening socket until ``stop``."""

    def __init__(
        self,
        listening: socket.socket,
        application: Application,
        tls: ssl.SSLContext | None = None,
        most: int = 64,
        seconds: float = 10.0,
    ) -> None:
        self._listening, self._application, self._tls = listening, application, tls
        self._most, self._seconds = most, seconds
        self._connections: dict[int, _Connection] = {}
        self._lock = threading.Lock()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._stopping = False
        self.accepted = self.cut = 0

    def serve(self) -> None:
        """Until ``stop``, or an exception in this thread (a signal)."""
        self._listening.setblocking(False)
        poll = select.poll()
        poll.register(self._listening, select.POLLIN)
        poll.register(self._wake_reader, select.POLLIN)
        try:
            while not self._stopping:
                poll.poll(self._until_deadline())
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
        return max(0.0, min(deadlines) - time.monotonic()) * 1000 + 1 if deadlines else None

    def _accept(self) -> None:
        try:
            sock, address = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:
            # No descriptors or memory left: open connections end at their deadlines.
            time.sleep(0.1)
            return
        sock.setblocking(True)
        self.accepted += 1
        connection = _Connection(sock, str(address[0]), time.monotonic() + self._seconds, self.accepted)
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
        now = time.monotonic()
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
                _Handler(connection.sock, self._application, connection)
            else:
                # On a duplicate, so that cut() has the plain socket, also in the middle of a handshake.
                with self._tls.wrap_socket(connection.sock.dup(), server_side=True) as sock:
                    _Handler(sock, self._application, connection)
        except (OSError, ValueError):  # gone, late, or no TLS: there is no one to answer
            pass
        finally:
            self._end(connection)

    def _end(self, connection: _Connection) -> None:
        with self._lock:
            self._connections.pop(connection.number, None)
        connection.cut()
        connection.sock.close()


class _Head(io.RawIOBase):
    """The first MOST_REQUEST_BYTES that a client sends. ``overrun``: the parser wanted more."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._left = sock, MOST_REQUEST_BYTES
        self.overrun = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self.overrun = True
            return 0
        count = self._sock.recv_into(memoryview(buffer)[: self._left])
        self._left -= count
        return count


class _Handler(BaseHTTPRequestHandler):
    """One request of a connection, parsed by the standard library."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "lazyobs", ""
    raw_requestline: bytes  # read by handle_one_request()

    def __init__(self, sock: socket.socket, application: Application, connection: _Connection) -> None:
        self._application, self._connection = application, connection
        self.client_address = ("", 0)
        self.close_connection = True
        self._head, self._refused = _Head(sock), False
        self.rfile = io.BufferedReader(self._head, 4096)
        self.wfile = io.BytesIO()
        self.requestline, self.request_version, self.command = "", "HTTP/1.1", ""
        self.handle_one_request()
        sock.sendall(self.wfile.getvalue())
        if self._refused:
            _drain(sock)

    def parse_request(self) -> bool:
        """False where the request is refused; its answer is written by then."""
        if self._head.overrun:
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
        elif not self.raw_requestline.endswith(b"\n"):
            self.send_error(HTTPStatus.BAD_REQUEST)
        elif not super().parse_request():
            if not self._refused:  # the standard library drops a blank line without an answer
                self.send_error(HTTPStatus.BAD_REQUEST)
        elif self._head.overrun:
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self.request_version == "HTTP/0.9":  # or none at all
            self.send_error(HTTPStatus.BAD_REQUEST)
        elif self.command not in _METHODS:
            self.send_error(HTTPStatus.METHOD_NOT_ALLOWED)
        return not self._refused

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The number alone: the standard library's texts quote the request."""
        self._refused = True
        allow = (("Allow", ", ".join(_METHODS)),) if code == HTTPStatus.METHOD_NOT_ALLOWED else ()
        self._put(Answer(code, b"%d\n" % code, headers=allow))

    def do_GET(self) -> None:
        self._connection.heard = True
        try:
            answer = self._application(self.path.partition("?")[0], _lower(self.headers))
        except Exception:
            answer = Answer(HTTPStatus.INTERNAL_SERVER_ERROR, b"500\n")
        self._put(answer)

    do_HEAD = do_GET

    def _put(self, answer: Answer) -> None:
        self.request_version = self.protocol_version  # the standard library answers HTTP/0.9 without headers
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Connection", "close")
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:
        """No log: anyone who can connect could fill it."""


def _drain(sock: socket.socket) -> None:
    """Reads what is still under way: closing over unread bytes resets the connection, and the answer may be lost."""
    sock.shutdown(socket.SHUT_WR)
    left = _MOST_IGNORED_BYTES
    while left > 0 and (part := sock.recv(min(left, 1 << 16))):
        left -= len(part)


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
