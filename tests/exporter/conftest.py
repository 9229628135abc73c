# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lazyobs.exporter.application import make_application
from lazyobs.exporter.cgroups import CgroupFold
from lazyobs.exporter.collector import LazyobsCollector
from lazyobs.exporter.page import Page
from lazyobs.exporter.server import Server, listen

REPOSITORY = Path(__file__).parent.parent.parent


@dataclass
class Exporter:
    """A running ``lazyobs export``."""

    url: str
    pid: int

    def get(self, path: str = "/metrics", seconds: float = 30) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=seconds) as response:
            return bytes(response.read())


@pytest.fixture
def export(tmp_path: Path) -> Iterator[Callable[..., Exporter]]:
    """Starts ``lazyobs export`` with arguments (or another program that ends in it); stopped by a signal."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str, program: tuple[str, ...] = ("-m", "lazyobs", "export"), **environ: str) -> Exporter:
        log = tmp_path / f"exporter-{len(running)}.log"
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, *program, "--listen", "127.0.0.1:0", *arguments],
                stderr=subprocess.PIPE, stdout=file, text=True, cwd=REPOSITORY, env={**os.environ, **environ},
            )  # fmt: skip
        running.append(process)
        said = []
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            found = re.search(r"serving (https?://\S+)/metrics", line)
            if found:
                threading.Thread(target=process.stderr.read, daemon=True).start()
                return Exporter(found[1], process.pid)
        raise AssertionError(f"the exporter ended: {''.join(said)}")

    yield start
    for process in running:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


@pytest.fixture
def serving() -> Iterator[Callable[..., tuple[str, int]]]:
    """Serves a source from this process: serving(source, fold=..., **limits) -> (host, port)."""
    servers: list[tuple[Server, threading.Thread]] = []

    def serve(
        source: object, fold: CgroupFold | None = None, authorise: object = None, **limits: object
    ) -> tuple[str, int]:
        page = Page(LazyobsCollector(source, fold or CgroupFold()))  # type: ignore[arg-type]
        listening = listen("127.0.0.1", 0)
        server = Server(listening, make_application(page, authorise), **limits)  # type: ignore[arg-type]
        thread = threading.Thread(target=server.serve)
        thread.start()
        servers.append((server, thread))
        return "127.0.0.1", listening.getsockname()[1]

    yield serve
    for server, thread in servers:
        server.stop()
        thread.join(10)
        assert not thread.is_alive()
