# SPDX-License-Identifier: MIT
from __future__ import annotations

import gc
import gzip
import http.client
import os
import random
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from lazyobs.errors import NotSupported
from lazyobs.exporter.request import Answer, Application
from lazyobs.exporter.server import Server, listen
from lazyobs.unix.address import Address
from tests.exporter.host import Host
from tests.exporter.metrics import of_page, series
from tests.harness import ROOT

Serving = Callable[..., tuple[str, int]]


def _ask(address: tuple[str, int], request: bytes, ends: bool = False) -> bytes:
    """What comes back until the other side closes; b"" where it just closes. ``ends``: nothing more will be said."""
    with socket.create_connection(address, timeout=30) as sock:
        parts = []
        try:
            sock.sendall(request)
            if ends:
                sock.shutdown(socket.SHUT_WR)
            while part := sock.recv(1 << 16):
                parts.append(part)
        except TimeoutError:
            raise
        except OSError:
            pass  # cut off
        return b"".join(parts)


def _scrape(address: tuple[str, int]) -> dict:
    head, _, body = _ask(address, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    return of_page(body)


def test_a_scrape_and_the_other_paths(serving: Serving) -> None:
    address = serving(Host())
    assert _ask(address, b"GET /readyz HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 503 ")
    assert _scrape(address)[series("lazyobs_prepares_total")] == 23
    assert _ask(address, b"GET /readyz HTTP/1.1\r\n\r\n").endswith(b"\r\n\r\nok\n")
    assert _ask(address, b"GET /healthz HTTP/1.1\r\n\r\n").endswith(b"\r\n\r\nok\n")
    assert b"/metrics" in _ask(address, b"GET / HTTP/1.1\r\n\r\n")
    assert _ask(address, b"GET /metrics?x=1 HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert _ask(address, b"GET /../etc/passwd HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET\r\n\r\n", 400),
        (b"GET /metrics\r\n\r\n", 400),
        (b"GET /metrics HTTP/0.9\r\n\r\n", 400),
        (b"GET /metrics FTP/1.1\r\n\r\n", 400),
        (b"GET / a b HTTP/0.9\r\n\r\n", 400),
        (b"POST\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"\x85\xa0\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\n", 400),
        (b"GET /metrics HTTP/3.0\r\n\r\n", 505),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /" + b"a" * 900_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"b" * 120_000 + b"\r\n\r\n", 431),
        (b"GET /metrics HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n", 431),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 500000\r\n\r\n" + b"c" * 500_000, 405),
        (b"BREW / HTTP/1.1\r\n\r\n", 405),
    ],
    ids=range(17),
)
def test_a_refusal_is_an_answer_of_http(serving: Serving, request_: bytes, status: int) -> None:
    with socket.create_connection(serving(Host()), timeout=30) as sock:
        sock.sendall(request_)
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        assert (answer.status, answer.read()) == (status, b"%d\n" % status)
        assert answer.getheader("Allow") == ("GET, HEAD" if status == 405 else None)
        assert answer.getheader("Connection") == "close"


def test_a_request_may_have_16_kib(serving: Serving) -> None:
    address = serving(Host())
    start, end = b"GET /metrics HTTP/1.1\r\nX: ", b"\r\n\r\n"
    fits = start + b"a" * (16384 - len(start) - len(end)) + end
    assert _ask(address, fits).startswith(b"HTTP/1.1 200 ")
    assert _ask(address, fits.replace(b"X: ", b"XY: ")).startswith(b"HTTP/1.1 431 ")


def test_head_has_the_headers_alone(serving: Serving) -> None:
    answer = _ask(serving(Host()), b"HEAD /metrics HTTP/1.1\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n") and b"Content-Length: " in answer


def _hostile(kind: int, dice: random.Random) -> bytes:
    noise = dice.randbytes(dice.randrange(1, 3000))
    return (
        noise,
        b"GET /" + b"a" * dice.randrange(1, 70000) + b" HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n" + b"X-Padding: " + b"b" * dice.randrange(1, 200000) + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n" + b"".join(b"H%d: x\r\n" % n for n in range(dice.randrange(1, 3000))) + b"\r\n",
        b"GET /metrics HTTP/" + noise + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n" + noise * 20,
        b"\r\n" * dice.randrange(1, 5000),
        b"GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text;version=" + noise.hex().encode() + b"\r\n\r\n",
        b"GET /metrics\x00\xff HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + noise,  # a TLS client at a plain port
    )[kind % 10]


def test_a_thousand_hostile_requests_and_then_a_right_scrape(serving: Serving) -> None:
    host = Host()
    address = serving(host, most=16, seconds=5.0, pace=1e6)
    silent = [socket.create_connection(address) for _ in range(100)]  # say nothing, or half a word
    for sock in silent[::2]:
        sock.sendall(b"GET /met")

    def attack(start: int) -> None:
        for number in range(start, 900, 4):
            _ask(address, _hostile(number, random.Random(number)), ends=number % 101 != 0)

    with ThreadPoolExecutor(4) as pool:
        attackers = [pool.submit(attack, start) for start in range(4)]
        during = _scrape(address)
        for attacker in attackers:
            attacker.result()
    after = _scrape(address)
    assert 23 <= during[series("lazyobs_prepares_total")] < after[series("lazyobs_prepares_total")]
    assert after[series("lazyobs_prepares_total")] == 23 * host.steps
    for sock in silent:
        sock.close()


class _Clock:
    """A clock that a test moves: a machine under load must not cut what is only slow."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def _served(application: Application, **limits: object) -> Iterator[tuple[Server, tuple[str, int]]]:
    listening = listen(Address("127.0.0.1", 0))
    server = Server(listening, application, **limits)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server, ("127.0.0.1", listening.getsockname()[1])
    finally:
        server.stop()
        thread.join(30)
        listening.close()
    assert not thread.is_alive()


def _ok(path: str, headers: Mapping[str, str]) -> Answer:
    return Answer(200, b"ok")


def test_a_client_that_drips_is_cut_off() -> None:
    clock = _Clock()
    with _served(_ok, clock=clock, seconds=60.0) as (server, address):
        with socket.create_connection(address, timeout=30) as sock:
            for _ in range(23):
                sock.sendall(b"G")
            assert _ask(address, b"GET / HTTP/1.1\r\n\r\n").endswith(b"ok") and server.cut == 0
            clock.now += 61
            assert _ask(address, b"GET / HTTP/1.1\r\n\r\n").endswith(b"ok")
            assert sock.recv(100) == b""
    assert server.cut == 1


def test_a_client_that_does_not_listen_is_cut_off() -> None:
    body = bytes(50 << 20)  # more than any socket buffer takes
    clock = _Clock()
    begun = threading.Event()

    def application(path: str, headers: Mapping[str, str]) -> Answer:
        if path == "/large":
            begun.set()
        return Answer(200, body if path == "/large" else b"ok")

    with _served(application, clock=clock, seconds=60.0) as (server, address):
        with socket.create_connection(address, timeout=30) as sock:
            sock.sendall(b"GET /large HTTP/1.1\r\n\r\n")
            assert begun.wait(30)
            assert _ask(address, b"GET / HTTP/1.1\r\n\r\n").endswith(b"ok") and server.cut == 0
            clock.now += 61
            assert _ask(address, b"GET / HTTP/1.1\r\n\r\n").endswith(b"ok")
            got = 0
            try:
                while part := sock.recv(1 << 20):
                    got += len(part)
            except ConnectionError:
                pass
            assert got < len(body)
    assert server.cut == 1


def test_the_deadline_wakes_the_server_by_itself() -> None:
    with _served(_ok, seconds=0.2) as (_, address), socket.create_connection(address, timeout=30) as sock:
        assert sock.recv(1) == b""


def test_connections_come_in_at_a_pace() -> None:
    """Whatever is asked for: after the burst the clock decides, and it stands still."""
    clock = _Clock()
    with _served(_ok, clock=clock, pace=10.0) as (server, address):
        for number in range(200):
            path = (b"/healthz", b"/404")[number % 2]
            assert _ask(address, b"GET " + path + b" HTTP/1.1\r\n\r\n").endswith(b"ok")
        with socket.create_connection(address, timeout=30) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            sock.settimeout(0.5)
            with pytest.raises(TimeoutError):
                sock.recv(1)
            clock.now += 0.1
            sock.settimeout(30)
            assert sock.recv(5) == b"HTTP/"
        assert server.accepted == 201


def test_out_of_descriptors_is_told_once_and_outlived() -> None:
    """In a process of its own, whose limit another process takes away and gives back."""
    program = """
from lazyobs.exporter.application import make_application
from lazyobs.exporter.server import Server, listen
from lazyobs.unix.address import Address
class Pages:
    error = None
    def text(self, openmetrics=False): return b"page"
listening = listen(Address("127.0.0.1", 0))
server = Server(listening, make_application(Pages(), None, lambda: server.trouble))
print(listening.getsockname()[1], flush=True)
server.serve()
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)  # fmt: skip
    try:
        assert process.stdout is not None and process.stderr is not None
        address = ("127.0.0.1", int(process.stdout.readline()))
        assert _ask(address, b"GET /healthz HTTP/1.1\r\n\r\n").endswith(b"ok\n")
        before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (3, before[1]))
        used = Path(f"/proc/{process.pid}/stat")
        with socket.create_connection(address, timeout=30) as sock:
            sock.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
            line = process.stderr.readline()
            assert "out of descriptors (RLIMIT_NOFILE of this process)" in line
            begun = sum(map(int, used.read_text().split()[13:15]))
            time.sleep(2)
            assert sum(map(int, used.read_text().split()[13:15])) - begun <= 20  # ticks of 200: it does not spin
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)
            answer = b""
            while part := sock.recv(1000):
                answer += part
        assert answer.startswith(b"HTTP/1.1 503 ") and b"out of descriptors" in answer
        assert _ask(address, b"GET /metrics HTTP/1.1\r\n\r\n").endswith(b"page")
        process.terminate()
        assert process.stderr.read() == "lazyobs: connections are accepted again\n"
    finally:
        process.kill()
        process.wait(30)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"http://127.0.0.1:9797/metrics", 200), (b"HTTP://x/metrics?y=1", 200), (b"https://x:1/healthz", 200),
        (b"http://x", 200), (b"http://x/nothing", 404), (b"/%6detrics", 200), (b"/metrics%3Fx", 404), (b"http://[x/", 400),
        (b"ftp://x/metrics", 404), (b"*", 404),
    ],
)  # fmt: skip
def test_forms_of_the_target(serving: Serving, target: bytes, status: int) -> None:
    answer = _ask(serving(Host()), b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status)


def test_a_page_is_packed_where_that_is_asked_for(serving: Serving) -> None:
    address = serving(Host())
    plain, packed = (
        _ask(address, b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: " + coding + b"\r\n\r\n").partition(b"\r\n\r\n")
        for coding in (b"gzip;q=0", b"deflate, GZip;q=0.8")
    )  # fmt: skip
    assert b"Content-Encoding" not in plain[0] and b"\r\nVary: Accept, Accept-Encoding" in plain[0]
    assert b"\r\nContent-Encoding: gzip" in packed[0] and b"Content-Length: %d\r\n" % len(packed[2]) in packed[0]
    assert len(packed[2]) < len(plain[2]) / 5
    assert of_page(gzip.decompress(packed[2])).keys() == of_page(plain[2]).keys()
    assert b"Content-Encoding" not in _ask(address, b"GET /healthz HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n")


def test_lines_of_the_same_name_are_one_list(serving: Serving) -> None:
    lines = b"Accept: text/plain;q=0.1\r\nAccept: application/openmetrics-text\r\n"
    answer = _ask(serving(Host()), b"GET /metrics HTTP/1.1\r\n" + lines + b"\r\n")
    assert b"Content-Type: application/openmetrics-text" in answer and answer.endswith(b"# EOF\n")


def test_silent_connections_do_not_keep_a_scrape_out(serving: Serving) -> None:
    address = serving(Host(), most=8, seconds=60.0)
    silent = [socket.create_connection(address) for _ in range(64)]
    for _ in range(5):
        assert series("lazyobs_prepares_total") in _scrape(address)
    for sock in silent:
        sock.close()


@pytest.mark.slow
def test_no_descriptor_is_left_behind(serving: Serving) -> None:
    address = serving(Host(), most=8, seconds=1.0)
    _scrape(address)

    def settled() -> int:
        for _ in range(500):
            if threading.active_count() <= 2:
                break
            time.sleep(0.01)
        gc.collect()  # what earlier tests have left
        return len(os.listdir("/proc/self/fd"))

    before = settled()
    for number in range(101):
        _ask(address, _hostile(number, random.Random(number)), ends=number % 50 != 0)
    assert settled() == before


def test_an_address_that_is_taken_is_told() -> None:
    taken = listen(Address("127.0.0.1", 0))
    with pytest.raises(NotSupported, match="choose another address"):
        listen(Address("127.0.0.1", taken.getsockname()[1]))
    taken.close()
