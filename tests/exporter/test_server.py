# SPDX-License-Identifier: MIT
from __future__ import annotations

import http.client
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from lazyobs.errors import NotSupported
from lazyobs.exporter.server import Answer, Server, listen
from lazyobs.unix.address import Address
from tests.exporter.host import Host
from tests.exporter.metrics import of_page, series

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
    address = serving(host, most=16, seconds=5.0)
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


def test_a_client_that_drips_is_cut_off(serving: Serving) -> None:
    address = serving(Host(), seconds=0.3)
    with socket.create_connection(address, timeout=30) as sock:
        with pytest.raises(ConnectionError):
            while True:
                sock.sendall(b"G")
                time.sleep(0.02)
    assert series("lazyobs_prepares_total") in _scrape(address)


def test_a_client_that_does_not_listen_is_cut_off() -> None:
    listening = listen(Address("127.0.0.1", 0))
    body = bytes(50 << 20)  # more than any socket buffer takes
    server = Server(listening, lambda path, headers: Answer(200, body if path == "/large" else b"ok"), seconds=0.3)
    thread = threading.Thread(target=server.serve)
    thread.start()
    address = ("127.0.0.1", listening.getsockname()[1])
    with socket.create_connection(address, timeout=30) as sock:
        sock.sendall(b"GET /large HTTP/1.1\r\n\r\n")
        while not server.cut:
            assert _ask(address, b"GET / HTTP/1.1\r\n\r\n").endswith(b"ok")
    server.stop()
    thread.join(10)
    assert (server.cut, thread.is_alive()) == (1, False)


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
