# SPDX-License-Identifier: MIT
"""Exporters for a Prometheus to scrape."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lazyobs.exporter.application import make_application
from lazyobs.exporter.cgroups import CgroupFold
from lazyobs.exporter.collector import LazyobsCollector
from lazyobs.exporter.page import Page
from lazyobs.exporter.server import Server, listen
from lazyobs.unix.address import Address


def _attached() -> dict[str, float | None]:
    return {"attach_time_seconds": 1.0}


@contextmanager
def exporting(*sources: object, steady: bool = True) -> Iterator[list[str]]:
    """Real exporters' HTTP over these sources: their addresses."""
    servers = []
    for source in sources:
        listening = listen(Address("127.0.0.1", 0))
        collector = LazyobsCollector(source, CgroupFold(), itself=_attached, steady=steady)  # type: ignore[arg-type]
        page = Page(collector)
        server = Server(listening, make_application(page))
        thread = threading.Thread(target=server.serve)
        thread.start()
        servers.append((server, thread, f"127.0.0.1:{listening.getsockname()[1]}"))
    try:
        yield [address for _, _, address in servers]
    finally:
        for server, thread, _ in servers:
            server.stop()
            thread.join(10)
