# SPDX-License-Identifier: MIT
"""One request of a connection and its answer, by RFC 9112: parsed by the standard library, at most 16 KiB of it."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

MOST_REQUEST_BYTES = 16384
_MOST_IGNORED_BYTES = 1 << 20  # read of a refused request, so that its sender gets to read the answer
_METHODS = ("GET", "HEAD")


@dataclass(frozen=True)
class Answer:
    """One HTTP response; ``headers`` beyond the length and the type."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


# (path, headers with lower-case names) -> Answer; called for GET and HEAD, from any thread.
Application = Callable[[str, Mapping[str, str]], Answer]


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


class Handler(BaseHTTPRequestHandler):
    """One request of a connection, parsed by the standard library."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "lazyobs", ""
    raw_requestline: bytes  # read by handle_one_request()

    def __init__(self, sock: socket.socket, application: Application, heard: Callable[[], None]) -> None:
        """Reads the request, calls ``heard`` when it is complete, and answers it."""
        self._application, self._heard = application, heard
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
        self._heard()
        try:
            path = _path(self.path)
        except ValueError:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        try:
            answer = self._application(path, _lower(self.headers))
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


def _path(target: str) -> str:
    """The path of a request target, which may be a whole URI (RFC 9112, section 3.2.2). ValueError for a bad one."""
    if target.partition(":")[0].lower() in ("http", "https"):
        target = urlsplit(target).path or "/"
    return unquote(target.partition("?")[0])


def _lower(headers: Message) -> dict[str, str]:
    """Lines of the same name are one list (RFC 9110, section 5.3)."""
    found: dict[str, str] = {}
    for name, value in headers.items():
        found[name.lower()] = f"{found[name.lower()]}, {value}" if name.lower() in found else value
    return found
