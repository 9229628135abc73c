# SPDX-License-Identifier: MIT
"""``top --web``: the same screen in a browser, and only for the server's own page."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from lazyobs.errors import NotSupported, UsageError, way_to_install
from lazyobs.screen.web import run
from tests.harness import LAZYOBS, ROOT, chromium, lazyobs, need_module, skip
from tests.screen.browser import Browser
from tests.screen.screens import LAB, SAMPLES

pytestmark = pytest.mark.slow

_WEB = ("web", "pip install '.[web]'")
aiohttp = need_module("aiohttp", *_WEB)
web = need_module("lazyobs.screen.web.server", *_WEB)


class Served:
    """The command, serving on a free port."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*LAZYOBS, "top", "--web", "127.0.0.1:0", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
        )  # fmt: skip
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        assert found, line + self.process.stdout.read()
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def descendants(self) -> list[int]:
        found = [self.process.pid]
        for pid in found:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ends while we look
                for task in Path(f"/proc/{pid}/task").iterdir():
                    found += map(int, (task / "children").read_text().split())
        return found

    def end(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(60)
        rest = self.process.stdout.read()
        self.process.stdout.close()
        return code, rest


@pytest.fixture
def served():
    started: list[Served] = []

    def start(*arguments: str) -> Served:
        started.append(Served(*arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.end()


def asked(served: Served, path: str = "/", **headers: str) -> tuple[int, str, dict]:
    async def ask():
        async with aiohttp.ClientSession() as session, session.get(served.url + path, headers=headers) as answer:
            return answer.status, await answer.text(errors="replace"), dict(answer.headers)

    return asyncio.run(ask())


async def read_until(sock, *words: bytes) -> bytes:
    shown = b""
    while not all(word in shown for word in words):
        message = await asyncio.wait_for(sock.receive(), 60)
        assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), (message, shown[-2000:])
        if message.type == aiohttp.WSMsgType.BINARY:
            shown += message.data
    return shown


def in_session(served: Served, drive, origin: str | None = None, size: str = "width=120&height=40") -> None:
    async def all_of_it():
        async with aiohttp.ClientSession() as session:
            headers = {"Origin": origin or served.url}
            async with session.ws_connect(f"{served.url}/ws?{size}", headers=headers) as sock:
                await drive(sock)

    asyncio.run(all_of_it())


def test_the_page_comes_from_here_alone(served):
    it = served("--replay", str(LAB))
    status, page, headers = asked(it)
    assert status == 200
    assert re.findall(r"https?://[^\"' ]+", page) == []
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    for name in re.findall(r"/static/[A-Za-z.]+", page):
        assert asked(it, name)[0] == 200
    assert [asked(it, path)[0] for path in ("/static/", "/static/../web.py", "/download/x", "/etc/passwd", "/static/%2e%2e%2fx")] == [404] * 5  # fmt: skip
    assert it.end() == (0, "")


@pytest.mark.parametrize("size", ["²", "1" * 5000, "5", "49", "-7", "", "1e1", "٢٠", "14;x", "%00"])
def test_a_font_size_that_is_none_is_refused(served, size):
    it = served("--replay", str(LAB))
    status, text, _ = asked(it, f"/?fontsize={size}")
    assert (status, text) == (400, "lazyobs: fontsize goes from 6 to 48\n")
    assert 'data-font-size="23"' in asked(it, "/?fontsize=23")[1]
    assert it.end() == (0, "")  # nothing on the operator's terminal


def test_nonsense_of_a_browser_ends_its_session_alone(served):
    it = served("--replay", str(LAB))

    async def drive(sock):
        await sock.send_str("[" * 60_000)
        while (await asyncio.wait_for(sock.receive(), 60)).type not in (
            aiohttp.WSMsgType.CLOSE,
            aiohttp.WSMsgType.CLOSED,
        ):
            pass

    in_session(it, drive)
    assert asked(it)[0] == 200
    assert it.end() == (0, "")


def test_no_other_page_and_no_other_name_gets_in(served):
    it = served("--replay", str(LAB))
    assert asked(it, Host="evil.example")[0] == 403
    assert asked(it, Host=f"localhost:{it.port}")[0] == 200
    for origin in ("http://evil.example", "null", f"http://127.0.0.1:{it.port + 1}"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            in_session(it, None, origin)
        assert refused.value.status == 403


def test_a_session_shows_the_recording_and_obeys_keys(served):
    it = served("--replay", str(LAB), "-d", "3600")

    async def drive(sock):
        await read_until(sock, b"savable", b"REPLAY 1/%d" % SAMPLES)
        await sock.send_str(json.dumps(["stdin", "}"]))
        await read_until(sock, b"11/%d" % SAMPLES)
        await sock.send_str(json.dumps(["resize", {"width": 10**9, "height": 30}]))
        await sock.send_str(json.dumps(["stdin", "4"]))
        await read_until(sock, b"REASON")
        await sock.send_str(json.dumps(["ping", 23]))
        await sock.send_str(json.dumps(["stdin", "q"]))
        while (await asyncio.wait_for(sock.receive(), 60)).type not in (
            aiohttp.WSMsgType.CLOSE,
            aiohttp.WSMsgType.CLOSED,
        ):
            continue

    in_session(it, drive)
    assert it.end() == (0, "")


def test_nonsense_ends_the_session_and_nothing_else(served):
    it = served("--replay", str(LAB))
    for nonsense in ('["stdin", 5]', '{"a": 1}', "no json", '["open", "/etc/passwd"]', '["resize", {"width": "x"}]'):

        async def drive(sock, nonsense=nonsense):
            await read_until(sock, b"savable")
            await sock.send_str(nonsense)
            while (await asyncio.wait_for(sock.receive(), 60)).type not in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED):  # fmt: skip
                continue

        in_session(it, drive)
    assert asked(it)[0] == 200
    assert it.end() == (0, "")


def test_sessions_end_with_their_browser_and_are_counted(served):
    it = served("--replay", str(LAB))

    async def processes(count):
        for _ in range(600):
            if len(it.descendants()) == count:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(it.descendants())

    async def drive():
        async with aiohttp.ClientSession() as session:

            async def connect():
                return await session.ws_connect(f"{it.url}/ws", headers={"Origin": it.url})

            open_ones = [await connect() for _ in range(web.MOST_SESSIONS)]
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await connect()
            assert refused.value.status == 503
            await processes(3 + web.MOST_SESSIONS)
            for sock in open_ones:
                await sock.close()
            await processes(3)

    asyncio.run(drive())


def test_live_nobody_serves_and_only_the_sampler_holds_probes(bpf, served):
    it = served("-d", "0.2")

    async def drive(sock):
        await read_until(sock, b"savable", b"COMMAND")
        await sock.send_str(json.dumps(["stdin", "6"]))
        await read_until(sock, b"PROBE POINT")
        await sock.send_str(json.dumps(["stdin", "d"]))
        await read_until(sock, b"the server sets the delay")
        pids = it.descendants()
        assert len(pids) == 4
        for pid in pids:
            status = Path(f"/proc/{pid}/status").read_text()
            wanted = ("Uid", "CapEff", "NoNewPrivs")
            uids, capabilities, closed = (line.split()[1:] for line in status.splitlines() if line.startswith(wanted))
            assert (set(uids), capabilities, closed) == ({"65534"}, ["0000000000000000"], ["1"])
            held = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            assert any("bpf" in one for one in held) == (pid == it.process.pid)
            assert any("slabinfo" in one for one in held) == (pid == it.process.pid)

    in_session(it, drive)
    assert it.end() == (0, "")


def test_it_ends_when_the_web_server_has_been_killed(served):
    it = served("--replay", str(LAB))
    assert asked(it)[0] == 200
    server = it.descendants()[1]
    os.kill(server, signal.SIGKILL)
    assert it.process.wait(60) == 3
    assert it.process.stdout.read().startswith("lazyobs: top --web: the web server has ended;")


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("127.0.0.1:0", "127.0.0.1", 0), ("0", "127.0.0.1", 0), ("[::1]:0", "::1", 0)],
)
def test_addresses(address, host, port):
    try:
        sock, found = run.listen(address)
    except NotSupported as error:
        skip("host", str(error))
    assert found == host and sock.getsockname()[0] == host and port == 0
    sock.close()


@pytest.mark.parametrize("address", ["127.0.0.1:x", "127.0.0.1:99999", "no.such.host.invalid:0", ":0"])
def test_addresses_that_are_none(address):
    with pytest.raises(UsageError):
        run.listen(address)


def test_a_port_that_is_taken_is_one_line(served):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        answer = lazyobs("top", "--web", f"127.0.0.1:{taken.getsockname()[1]}", "--replay", str(LAB))
    assert (answer.returncode, len(answer.stderr.splitlines())) == (3, 1)
    assert "choose another port" in answer.stderr


def test_the_whole_world_is_warned_of():
    command = [*LAZYOBS, "top", "--web", "0.0.0.0:0", "--replay", str(LAB)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            process.stdout.readline()
            assert "no password" in process.stdout.readline()
            process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_without_the_library_it_is_one_line(tmp_path):
    (tmp_path / "textual_serve.py").write_text("raise ModuleNotFoundError('gone', name='textual_serve')\n")
    answer = lazyobs("top", "--web", "--replay", str(LAB), env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert answer.returncode == 3
    assert answer.stderr == f"lazyobs: top --web: textual_serve is not installed; {way_to_install('web')}\n"


@pytest.mark.parametrize(("listening", "name", "may"), [
    ("127.0.0.1", "127.0.0.1:9798", True), ("127.0.0.1", "localhost:8000", True), ("127.0.0.1", "[::1]:9798", True),
    ("127.0.0.1", "localhost.evil.example:9798", False), ("127.0.0.1", "", False), ("::1", "10.0.0.7:9798", False),
    ("0.0.0.0", "host.example:9798", True),
])  # fmt: skip
def test_names_that_a_server_may_be_asked_by(listening, name, may):
    assert web.is_host_allowed(name, listening) == may


@pytest.fixture
def browser(tmp_path):
    made = Browser(chromium(), tmp_path)
    yield made
    made.close()


def test_a_browser_shows_it(served, browser):
    """Chromium draws the page, the terminal in it fills with the recording, and keys reach it without a click."""
    it = served("--replay", str(LAB), "-d", "3600")
    errors = browser.visit(it.url, "4")
    assert errors == []
    assert "-first-byte" in browser.page_says and "-closed" not in browser.page_says
    assert browser.before.startswith(b"\x89PNG") and browser.before != browser.after
