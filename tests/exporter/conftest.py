# SPDX-License-Identifier: MIT
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lazyobs.exporter.application import make_application
from lazyobs.exporter.cgroups import CgroupFold
from lazyobs.exporter.collector import LazyobsCollector
from lazyobs.exporter.page import Page
from lazyobs.exporter.server import Server, listen
from lazyobs.unix.address import Address
from tests.exporter.starting import Exporter, exporters


@pytest.fixture
def export(tmp_path: Path) -> Iterator[Callable[..., Exporter]]:
    """Starts ``lazyobs export`` with arguments."""
    with exporters(tmp_path) as start:
        yield start


@pytest.fixture
def serving() -> Iterator[Callable[..., tuple[str, int]]]:
    """Serves a source from this process: serving(source, fold=..., **limits) -> (host, port)."""
    servers: list[tuple[Server, threading.Thread]] = []

    def serve(
        source: object, fold: CgroupFold | None = None, authorise: object = None, **limits: object
    ) -> tuple[str, int]:
        page = Page(LazyobsCollector(source, fold or CgroupFold()))  # type: ignore[arg-type]
        listening = listen(Address("127.0.0.1", 0))
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
