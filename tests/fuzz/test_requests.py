# SPDX-License-Identifier: MIT
"""What comes over a network: requests to the exporter, and requests and messages to the screen in a browser."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import bcrypt
import pytest
from aiohttp import WSMsgType, web
from hypothesis import example, given
from hypothesis import strategies as st

from lazyobs.exporter.application import make_application
from lazyobs.exporter.negotiation import accepts_gzip, wants_openmetrics
from lazyobs.exporter.request import Handler
from lazyobs.exporter.webconfig import Users
from lazyobs.screen.web import protocol, server
from tests.fuzz.fuzzing import bounded, nearly, tries

REQUESTS = (
    b"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: text/plain;q=0.5, */*;q=0.1\r\nAccept-Encoding: gzip\r\n\r\n",
    b"HEAD http://[::1]:9797/healthz?x=%41 HTTP/1.0\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
)
STATUSES = {200, 400, 404, 405, 414, 431, 505}


class _Pages:
    error = None

    def text(self, openmetrics: bool = False) -> bytes:
        return b"# EOF\n" if openmetrics else b"a 1\n"


@tries(300)
@given(content=nearly(*REQUESTS))
@example(content=b"GET http://[ HTTP/1.1\r\n\r\n")
@example(content=b"GET http://[::1 HTTP/1.1\r\n\r\n")
@example(content=b"GET /%ff%00%0a HTTP/1.1\r\n\r\n")
@example(content=b"GET / HTTP/" + b"9" * 5000 + b".1\r\n\r\n")
@example(content="GET / HTTP/1.²\r\n\r\n".encode())
@example(content=b"GET /metrics HTTP/1.1\r\n: x\r\nx\r\n y\r\n\r\n")
@example(content=b"GET /metrics HTTP/1.1\r\nContent-Type: multipart/mixed; boundary=\r\n\r\n")
def test_requests(content: bytes) -> None:
    """An answer of HTTP that quotes nothing, or none; and no error but of the socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(content[:60_000])
        ours.shutdown(socket.SHUT_WR)
        bounded(lambda: Handler(theirs, make_application(_Pages()), lambda: None), OSError)
        theirs.close()
        raw = b""
        while part := _received(ours):
            raw += part
    if raw:
        head, _, body = raw.partition(b"\r\n\r\n")
        words = head.split(b" ", 2)
        assert words[0] == b"HTTP/1.1" and int(words[1]) in STATUSES
        assert body in (b"", b"# EOF\n", b"a 1\n", b"ok\n", b"404: try /metrics\n", b"%d\n" % int(words[1])) or body[:1] in (b"\x1f", b"l")  # fmt: skip
        assert not {line.split(b":")[0] for line in head.splitlines()[1:]} - HEADERS


HEADERS = {
    b"Server", b"Date", b"Content-Type", b"Content-Length", b"Connection", b"X-Content-Type-Options", b"Allow", b"Vary",
    b"Content-Encoding",
}  # fmt: skip


def _received(sock: socket.socket) -> bytes:
    try:
        return sock.recv(1 << 16)
    except OSError:
        return b""


ACCEPT = (b"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", b"gzip;q=1.000, identity;q=0, *")  # fmt: skip


@tries(500)
@given(content=nearly(*ACCEPT))
@example(content=b"text/plain;q=" + b"9" * 5000)
@example(content=";q=²,text/*;q=٣".encode())
@example(content=b"a;q=nan,b;q=1e9,c;q=-0,;;;,,")
def test_what_a_client_accepts(content: bytes) -> None:
    """A word that it does not understand changes nothing."""
    text = content.decode("latin-1")
    assert bounded(lambda: (wants_openmetrics(text), accepts_gzip(text))) is not None
    assert wants_openmetrics("\x85;q=²," + text) == wants_openmetrics(text)


USERS = Users({"a": bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()}, bcrypt)


@tries(200)
@given(
    content=nearly(b"Basic " + base64.b64encode(b"a:right"), b"basic " + base64.b64encode(b"a:wrong\0"), b"Bearer x")
)
@example(content=b"Basic " + base64.b64encode(b"a:right\0"))
@example(content=b"Basic " + base64.b64encode(b"a:" + b"x" * 10_000))
@example(content="Basic ²".encode())
def test_passwords(content: bytes) -> None:
    header = content.decode("latin-1")
    if bounded(lambda: USERS(header)):
        assert base64.b64decode(header.partition(" ")[2].strip()) == b"a:right"


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9)),
    lambda part: st.one_of(st.lists(part, max_size=4), st.dictionaries(st.sampled_from(["wanted", "vmas_of", "programs", "width", "height", "at"]), part, max_size=4)),
)  # fmt: skip


@tries(200)
@given(document=JSON)
@example(document={"wanted": None})
@example(document={"wanted": [1]})
@example(document={"wanted": {"vmas_of": True, "programs": 1}})
@example(document={"wanted": {"vmas_of": 1 << 70}})
def test_what_a_session_wants(document: Any) -> None:
    wanted = protocol.read_wanted(document)
    assert wanted.vmas_of is None or 0 < wanted.vmas_of < 1 << 22
    assert isinstance(wanted.programs, bool)


@tries(300)
@given(
    messages=st.lists(
        st.one_of(
            JSON.map(json.dumps),
            st.tuples(st.sampled_from(["stdin", "resize", "ping", "blur", "focus"]), JSON).map(json.dumps),
            nearly(b'["resize", {"width": 80, "height": 24}]', b'["stdin", "q"]').map(lambda text: text.decode("latin-1")),
        ),
        max_size=3,
    )
)  # fmt: skip
@example(messages=['["resize", {"width": 1e999, "height": "9"}]'])
@example(messages=['["resize", {"width": ' + "9" * 5000 + ', "height": null}]'])
@example(messages=["[" * 50_000])
@example(messages=['["stdin", "\\ud800"]'])
def test_messages_of_a_browser(messages: list[str]) -> None:
    sizes: list[tuple[int, int]] = []

    async def nothing(*_arguments: object) -> None:
        pass

    async def resize(width: int, height: int) -> None:
        sizes.append((width, height))

    session = SimpleNamespace(send_bytes=nothing, set_terminal_size=resize, blur=nothing, focus=nothing)

    class Sock:
        send_json = staticmethod(nothing)

        async def __aiter__(self) -> Any:
            for text in messages:
                yield SimpleNamespace(type=WSMsgType.TEXT, json=lambda text=text: json.loads(text))

    run = server._Server._pass_messages(Sock(), session)  # type: ignore[arg-type]
    bounded(lambda: asyncio.run(run), ValueError, RuntimeError)
    assert all(1 <= width <= 500 and 1 <= height <= 200 for width, height in sizes)


@pytest.fixture(scope="module")
def screen() -> Iterator[int]:
    """The port of a web server without sessions."""
    listening = socket.create_server(("127.0.0.1", 0))
    control, theirs = socket.socketpair()
    made = server._Server("127.0.0.1", {"xterm.css": (b"x", "text/css")}, None, control)  # type: ignore[arg-type]
    loop = asyncio.new_event_loop()
    ends = loop.create_future()

    async def serve() -> None:
        runner = web.AppRunner(made.application(), access_log=None)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        await ends
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    yield listening.getsockname()[1]
    loop.call_soon_threadsafe(ends.set_result, None)
    thread.join(30)
    control.close()
    theirs.close()
    loop.close()


SCREEN = (
    b"GET /?fontsize=14 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET /static/xterm.css HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
    b"GET /ws?width=9 HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nConnection: close, upgrade\r\n\r\n",
)


def test_the_requests_to_begin_with(screen: int) -> None:
    for request, status in zip(SCREEN, (200, 200, 400)):  # the third asks for a WebSocket without a key
        with socket.create_connection(("127.0.0.1", screen), timeout=10) as sock:
            sock.sendall(request)
            answer = http.client.HTTPResponse(sock)
            answer.begin()
            assert answer.status == status


@tries(150)
@given(content=nearly(*SCREEN))
@example(content=SCREEN[0].replace(b"14", "²".encode()))
@example(content=SCREEN[0].replace(b"14", b"%C2%B2"))
@example(content=SCREEN[0].replace(b"localhost", b"[::1"))
@example(content=SCREEN[0].replace(b"localhost", b"localhost:" + b"9" * 5000))
@example(content=SCREEN[0].replace(b"localhost", b'localhost"><script>'))
@example(content=SCREEN[0].replace(b"localhost", b'127.0.0.1:1" onload="'))
def test_requests_to_the_screen(screen: int, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """Never an error of the server, and no markup of the request's."""
    with socket.create_connection(("127.0.0.1", screen), timeout=10) as sock:
        sock.sendall(content[:60_000])
        sock.shutdown(socket.SHUT_WR)
        answer = http.client.HTTPResponse(sock)
        try:
            answer.begin()
            status, body = answer.status, answer.read()
        except (http.client.HTTPException, OSError):
            return  # it closed without an answer
    assert status < 500 and b"<script>alert" not in body and b'" onload="' not in body and b'"><script>' not in body
    assert "Traceback" not in capsys.readouterr().err
