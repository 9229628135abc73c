# SPDX-License-Identifier: MIT
"""The web server of ``top --web``: serves a read-only copy of the screen to browsers.

It runs as nobody, holds no probe and no file, and serves three static files from memory. Pages of other sites must not
read the screen through the browser of a user who can reach it. So the WebSocket requires this server's own origin, and
on loopback a loopback name as Host, which DNS rebinding cannot forge.
"""

from __future__ import annotations

import asyncio
import html
import importlib.resources
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from aiohttp import WSMsgType, web
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from lazyobs.screen.web.sessions import SessionParent
from lazyobs.text import say

MOST_SESSIONS = 8
_MOST_SIZE = (500, 200)  # columns and lines; a screen costs memory by its size
_MOST_MESSAGE = 1 << 16
_STATIC = {
    "xterm.css": ("css/xterm.css", "text/css"),
    "textual.js": ("js/textual.js", "text/javascript"),
    "RobotoMono.ttf": ("fonts/RobotoMono-VariableFont_wght.ttf", "font/ttf"),
}
# The terminal takes keys when its hidden text field has the focus; textual.js makes that field some time after the load.
_FOCUS = b"""addEventListener("load", () => {
  const focus = () => {
    const field = document.querySelector(".xterm-helper-textarea");
    if (field) { field.focus(); }
    return Boolean(field);
  };
  if (!focus()) {
    const observer = new MutationObserver(() => { if (focus()) { observer.disconnect(); } });
    observer.observe(document.body, { childList: true, subtree: true });
  }
});
"""
_FONT_SIZES = (6, 14, 48)  # least, where none is asked for, most
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>lazyobs top</title>
<link rel="stylesheet" href="/static/xterm.css"><script src="/static/textual.js"></script>
<script src="/static/focus.js"></script>
<style>
@font-face {{ font-family: "Roboto Mono"; src: url("/static/RobotoMono.ttf"); }}
html, body {{ margin: 0; height: 100%; background: #0c181f; color: #ddd; font-family: monospace; }}
.textual-terminal {{ width: 100vw; height: 100vh; }}
.ended {{ display: none; position: absolute; inset: 0; z-index: 10; background: #0c181fcc; padding: 40vh 0; text-align: center; }}
body.-closed .ended {{ display: block; }}
a {{ color: #56b4e9; }}
</style></head><body>
<div class="ended">This session has ended. <a href="/">Start another</a></div>
<div id="terminal" class="textual-terminal" data-session-websocket-url="{url}" data-font-size="{size}"></div>
</body></html>
"""


def load_static() -> dict[str, tuple[bytes, str]]:
    """{name: (content, type)} of textual-serve's files. To be called before root is given up: the user nobody may be
    unable to read them."""
    root = importlib.resources.files("textual_serve") / "static"
    found = {name: ((root / path).read_bytes(), kind) for name, (path, kind) in _STATIC.items()}
    return {**found, "focus.js": (_FOCUS, "text/javascript")}


class _Session(AppService):
    """textual-serve's connection between a WebSocket and a session, with our way to start one."""

    def __init__(self, parent: SessionParent, sampler: socket.socket, **callbacks: Any) -> None:
        super().__init__("", download_manager=DownloadManager(), **callbacks)
        self._parent, self._sampler = parent, sampler

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Any:
        pipes = [os.pipe(), os.pipe(), os.pipe()]
        (keyboard, to_keyboard), (from_display, display), (from_errors, errors) = pipes
        session_sock, sampler_sock = socket.socketpair()
        socket.send_fds(self._sampler, [b"s"], [sampler_sock.fileno()])
        self._parent.start((keyboard, display, errors, session_sock.fileno()), width, height)
        session_sock.close()
        sampler_sock.close()
        for fd in (keyboard, display, errors):
            os.close(fd)
        self._stdin = await _write_pipe(to_keyboard)
        stdout, stderr = await _read_pipe(from_display), await _read_pipe(from_errors)
        self._process = SimpleNamespace(stdin=self._stdin, stdout=stdout, stderr=stderr)  # type: ignore[assignment]
        return self._process

    async def stop(self) -> None:
        await super().stop()
        if self._stdin is not None:
            self._stdin.close()

    async def on_meta(self, data: bytes) -> None:
        """Only an exit: a session has no files to send and no pages to open."""
        if b'"exit"' in data:
            await self.remote_close()


async def _write_pipe(fd: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.streams.FlowControlMixin(loop=loop), os.fdopen(fd, "wb", 0)
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)


async def _read_pipe(fd: int) -> asyncio.StreamReader:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", 0))
    return reader


class _Server:
    def __init__(
        self, host: str, static: dict[str, tuple[bytes, str]], parent: SessionParent, sampler: socket.socket
    ) -> None:
        self._host, self._static, self._parent, self._sampler = host, static, parent, sampler
        self._session_count = 0

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self._guard])
        application.add_routes(
            [web.get("/", self._index), web.get("/ws", self._websocket), web.get("/static/{name}", self._file)]
        )
        return application

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if not is_host_allowed(request.headers.get("Host", ""), self._host):
            raise web.HTTPForbidden(text="lazyobs: the Host header is not a name of this server\n")
        try:
            response = await handler(request)
        except web.HTTPException:
            raise
        except Exception as error:  # one line for the operator; aiohttp's own would be a traceback
            say(f"lazyobs: top --web: {type(error).__name__}: {error}")
            return web.Response(status=500, text="lazyobs: an error, see standard error of the server\n")
        if not response.prepared:
            response.headers.update(
                {
                    "Content-Security-Policy": _POLICY,
                    "X-Content-Type-Options": "nosniff",
                    "Referrer-Policy": "no-referrer",
                    "Cache-Control": "no-store",
                }
            )
        return response

    async def _index(self, request: web.Request) -> web.Response:
        size = _font_size(request.query.get("fontsize"))
        url = f"ws://{request.host}/ws"
        page = _PAGE.format(url=html.escape(url), size=size)
        return web.Response(text=page, content_type="text/html")

    async def _file(self, request: web.Request) -> web.Response:
        file = self._static.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound(text="lazyobs: no such file\n")
        return web.Response(body=file[0], content_type=file[1])

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Origin") != f"http://{request.host}":
            raise web.HTTPForbidden(text="lazyobs: only this server's own page may connect\n")
        if self._session_count >= MOST_SESSIONS:
            raise web.HTTPServiceUnavailable(text=f"lazyobs: all {MOST_SESSIONS} sessions are in use\n")
        self._session_count += 1
        sock = web.WebSocketResponse(heartbeat=15, max_msg_size=_MOST_MESSAGE)
        session: _Session | None = None
        try:
            await sock.prepare(request)
            session = _Session(
                self._parent, self._sampler, write_bytes=sock.send_bytes, write_str=sock.send_str, close=sock.close
            )
            await session.start(*_size(request.query.get("width"), request.query.get("height")))
            await self._pass_messages(sock, session)
        except (ConnectionError, RuntimeError, ValueError):  # RecursionError is a RuntimeError
            pass  # the browser has gone, or sent nonsense
        finally:
            if session is not None:
                await session.stop()
            self._session_count -= 1
        return sock

    @staticmethod
    async def _pass_messages(sock: web.WebSocketResponse, session: _Session) -> None:
        """Passes keys, sizes, pings and focus changes to the session. ValueError for anything else."""
        async for message in sock:
            if message.type != WSMsgType.TEXT:
                continue
            match message.json():
                case ["stdin", str(typed)]:
                    await session.send_bytes(typed.encode("utf-8", "replace"))
                case ["resize", {"width": width, "height": height}]:
                    await session.set_terminal_size(*_size(width, height))
                case ["ping", data]:
                    await sock.send_json(["pong", data])
                case ["blur", *_]:
                    await session.blur()
                case ["focus", *_]:
                    await session.focus()
                case _:
                    raise ValueError("unknown message")


def _font_size(text: str | None) -> int:
    """Raises HTTPBadRequest for anything that is not a size."""
    least, size, most = _FONT_SIZES
    if text is None:
        return size
    if not (text.isascii() and text.isdecimal() and len(text) <= 2 and least <= int(text) <= most):
        raise web.HTTPBadRequest(text=f"lazyobs: fontsize goes from {least} to {most}\n")
    return int(text)


def _size(width: Any, height: Any) -> tuple[int, int]:
    def clamp(value: Any, default: int, most: int) -> int:
        try:
            return min(max(int(value), 1), most)
        except (TypeError, ValueError, OverflowError):
            return default

    return clamp(width, 80, _MOST_SIZE[0]), clamp(height, 24, _MOST_SIZE[1])


def is_host_allowed(header: str, listening: str) -> bool:
    """Whether a request with this Host header is answered: on loopback, only loopback names are."""
    name = header.rpartition(":")[0] if header.rpartition(":")[2].isdigit() else header
    name = name.strip("[]")
    return not is_loopback(listening) or name == "localhost" or is_loopback(name)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def serve(
    listening: socket.socket,
    host: str,
    static: dict[str, tuple[bytes, str]],
    parent: SessionParent,
    sampler: socket.socket,
) -> None:
    """Returns on a signal, or when the sampler has ended."""
    asyncio.run(_serve(listening, _Server(host, static, parent, sampler).application(), sampler))


async def _serve(listening: socket.socket, application: web.Application, sampler: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def end() -> None:
        if not ended.done():
            ended.set_result(None)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end)
    loop.add_reader(sampler, end)  # the sampler never sends: readable means it has ended
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.SockSite(runner, listening).start()
    try:
        await ended
    finally:
        loop.remove_reader(sampler)
        await runner.cleanup()
        sys.stdout.flush()
