# SPDX-License-Identifier: MIT
"""A checkout in a home that root alone may enter: all that a process needs without root, it has loaded before."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.confined import NAMED, need
from tests.harness import ROOT
from tests.screen.terminals import Terminal

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("root", "bpf")]

FULL = b"\x1b[?1049h"
# Every page, dialog and key; the mouse; what is pasted; a name with wide letters to search for.
KEYS = (
    "?", "\x1b", "\r", "\x1b", "f", "\x1b", "2", "3", "4", "5", "6", "1", "\t", "/x\u597d\r", "\x1b", "s", "\x1b", "t", "c",
    "t", " ", "[", "]", " ", "<", ">", "r", "y", "d", "1\r", "p", "1\r", "\x1b", "u", "root\r", "\x1b",
    "\x1b[<0;10;10M", "\x1b[<0;10;10m", "\x1b[<64;10;10M", "\x1b[200~pasted\x1b[201~", "\x1b[I", "\x1b[O",
)  # fmt: skip
LATE = [sys.executable, "-m", "tests.commands.late_imports"]


@contextlib.contextmanager
def on_terminal(*program: str, **environment: str) -> Iterator[Terminal]:
    it = Terminal("-d", "0.3", size=(80, 24), program=program, **environment)
    try:
        yield it
    finally:
        it.close()


def use(it: Terminal) -> None:
    """Presses every key, makes the terminal smaller and larger, and quits."""
    it.until(FULL, b"savable")
    for keys in KEYS:
        it.type(keys.encode())
        it.read(0.3)
    for size in ((40, 10), (160, 50)):
        it.resize(*size)
        it.process.send_signal(signal.SIGWINCH)
        end = time.monotonic() + 0.7
        while time.monotonic() < end:
            it.read(0.2)
    it.type(b"\x03")
    assert it.end() == 0, it.shown[-3000:]


@pytest.fixture
def late(tmp_path: Path) -> Iterator[Path]:
    """The file of late imports; there were none at the end of the test."""
    log = tmp_path / "late"
    yield log
    assert log.read_text() == ""


def test_the_full_screen_works_in_a_private_home(tmp_path: Path) -> None:
    place = NAMED["home of mode 0700"]
    need(place, tmp_path)
    with on_terminal(*place.command(tmp_path, "top"), **place.environ(tmp_path)) as it:
        use(it)


def test_the_full_screen_imports_nothing_without_root(late: Path) -> None:
    with on_terminal(*LATE, "top", LATE_IMPORTS=str(late)) as it:
        use(it)


@pytest.mark.parametrize(
    "arguments",
    [
        ("census",),
        ("census", "-o", "csv"),
        ("census", "--vmas", "-p", str(os.getpid())),
        ("top", "-b", "-n", "2", "-d", "0.3", "--view", "processes,forks,rmap,promotions,slabs,probes"),
        ("top", "-b", "-n", "2", "-d", "0.3", "-o", "csv"),
        ("trace", "--duration", "0.5"),
        ("record", "-o", "{room}/r", "--duration", "2", "--max-size", "1M", "--keep-on", "loss"),
        ("record", "-o", "{room}/r", "--progress", "json", "--", "true"),
        ("record", "-o", "{room}/r", "--tier", "procfs", "--duration", "1"),
    ],
    ids=" ".join,
)
def test_a_command_imports_nothing_without_root(late: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    words = [word.replace("{room}", str(tmp_path)) for word in arguments]
    done = subprocess.run(
        [*LATE, *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        env={**os.environ, "LATE_IMPORTS": str(late)},
    )
    assert done.returncode == 0, done.stderr


def test_browsers_get_the_screen_from_a_private_home(tmp_path: Path) -> None:
    place = NAMED["home of mode 0700"]
    need(place, tmp_path)
    command = place.command(tmp_path, "top", "--web", "127.0.0.1:0")
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=place.environ(tmp_path), cwd=ROOT
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert "http://" in line, line + process.stdout.read()
        url = next(word for word in line.split() if word.startswith("http://"))
        with urllib.request.urlopen(url, timeout=30) as answer:
            assert b"<html" in answer.read().lower()
        in_session(url.rstrip("/"))
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert "Traceback" not in process.stdout.read()


def in_session(url: str) -> None:
    """Reads the screen as a browser does, until it shows processes."""
    import asyncio

    from tests.harness import need_module

    aiohttp = need_module("aiohttp", "web", "pip install 'lazyobs[web]'")

    async def read() -> None:
        async with aiohttp.ClientSession() as session:
            socket = session.ws_connect(f"{url}/ws?width=120&height=40", headers={"Origin": url})
            async with socket as sock:
                shown = b""
                while b"savable" not in shown:
                    message = await asyncio.wait_for(sock.receive(), 60)
                    assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), (message, shown[-2000:])
                    shown += message.data if isinstance(message.data, bytes) else b""
                for keys in KEYS:
                    await sock.send_str(json.dumps(["stdin", keys]))
                    await asyncio.wait_for(sock.receive(), 60)

    asyncio.run(read())
