# SPDX-License-Identifier: MIT
"""``lazyobs export`` as a user starts it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent  # not the harness's: a guest imports this, and need not import pytest


@dataclass
class Exporter:
    """A running exporter."""

    url: str
    pid: int

    @property
    def address(self) -> str:
        return self.url.partition("://")[2]

    def get(self, path: str = "/metrics", seconds: float = 30) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=seconds) as response:
            return bytes(response.read())


@contextmanager
def exporters(directory: Path) -> Iterator[Callable[..., Exporter]]:
    """Gives a function that starts one with arguments (or another program that ends in it); stopped by a signal."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str, program: tuple[str, ...] = ("-m", "lazyobs", "export"), **environ: str) -> Exporter:
        log = directory / f"exporter-{len(running)}.log"
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, *program, "--listen", "127.0.0.1:0", *arguments],
                stderr=subprocess.PIPE, stdout=file, text=True, cwd=ROOT, env={**os.environ, **environ},
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

    try:
        yield start
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
            process.wait(10)
