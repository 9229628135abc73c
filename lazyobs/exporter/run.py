# SPDX-License-Identifier: MIT
"""``lazyobs export``: listen, open the source, give up root, serve. In that order."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from lazyobs.errors import NotSupported
from lazyobs.exporter import webconfig
from lazyobs.exporter.application import Pages, make_application
from lazyobs.exporter.cgroups import CgroupFold
from lazyobs.exporter.collector import LazyobsCollector, unknown_sample
from lazyobs.exporter.notify import Notifier
from lazyobs.exporter.page import Page, PageError
from lazyobs.exporter.privileged_reader import RemotePages
from lazyobs.exporter.server import Server, inherited, listen
from lazyobs.exporter.settings import Settings
from lazyobs.exporter.textfile import Textfile, keep
from lazyobs.model import Sample
from lazyobs.sources.climbing import ClimbingSource
from lazyobs.sources.orphans import Orphans
from lazyobs.sources.source import SampleSource
from lazyobs.text import printable
from lazyobs.unix import address, capabilities, memory, privileges


class _Blank:
    """A source whose samples know nothing."""

    def read(self) -> Sample:
        return unknown_sample()

    def close(self) -> None:
        pass


def _is_at(listening: socket.socket, asked: str) -> bool:
    """Whether it listens where it was asked to; port 0 is any."""
    wanted = address.parse("address", asked)
    return wanted.port in (0, listening.getsockname()[1])


def rehearse() -> None:
    """Makes both pages once, so that late imports happen now, while the files can still be read."""
    page = Page(LazyobsCollector(_Blank(), CgroupFold()))
    page.text(openmetrics=False)
    page.text(openmetrics=True)


def run(
    settings: Settings,
    open_source: Callable[[], SampleSource],
    live: bool,
    say: Callable[[str], None],
    orphans: Callable[[], Callable[[], list[Orphans]]] = lambda: list,
) -> None:
    """Serves until a signal. ``live`` is False for a recording: it says nothing about this kernel.
    ``orphans`` is called once, with the source open, and returns what the collector takes."""
    web = webconfig.load(Path(settings.web_config)) if settings.web_config else webconfig.WebConfig(None, None)
    if settings.web_config and web.asks_for_nothing:
        file = printable(settings.web_config)
        say(f"lazyobs: web configuration {file}: asks for neither TLS nor passwords; plain HTTP for everybody")
    textfile = Textfile(Path(settings.textfile), settings.user) if settings.textfile else None
    listening = None if textfile else inherited() or listen(address.parse("address", settings.listen))
    if listening is not None and settings.listen != Settings.listen and not _is_at(listening, settings.listen):
        say(f"lazyobs: listen = {printable(settings.listen)} is not used: the socket unit says where")
    close_listening = listening.close if listening else lambda: None
    notifier = Notifier()
    rehearse()
    source = open_source()
    attached = time.time()
    server: Server | None = None

    def itself() -> dict[str, float | None]:
        counts = {"http_connections": server.accepted, "http_connections_cut": server.cut} if server else {}
        since = source.attached_at if isinstance(source, ClimbingSource) else attached
        loading = isinstance(source, ClimbingSource) and source.is_loading
        return {
            "attach_time_seconds": since if live else None,
            "probes_loading": int(loading) if live else None,
            **counts,
        }

    def pages(of: SampleSource) -> Page:
        fold = CgroupFold(settings.cgroup_depth, settings.cgroup_top)
        if live:
            collector = LazyobsCollector(of, fold, itself=itself, orphans=orphans())
        else:
            collector = LazyobsCollector(of, fold, splats=None, itself=itself, steady=False)
        return Page(collector, settings.seconds)

    reader: RemotePages | None = None
    served: Pages
    if live and capabilities.effective():
        reader = served = RemotePages(lambda: pages(source), close_listening, settings.seconds)
        if isinstance(source, ClimbingSource):
            source.leave()
        else:
            source.close()
        privileges.keep_nothing()
    elif not live and os.geteuid() == 0:
        # A recording, started by root: perhaps only root can read its files, so the reader opens them again.
        source.close()
        reader = served = RemotePages(lambda: pages(open_source()), close_listening, settings.seconds)
        privileges.give_up_root(user=settings.user)
    else:
        served = pages(source)
    memory.settle()
    try:
        if listening is not None:
            application = make_application(served, web.users, lambda: server.trouble if server else "")
            server = Server(listening, application, web.tls, settings.connections, settings.seconds)
        first = served.text()
        series = sum(1 for line in first.splitlines() if not line.startswith(b"#"))
        if textfile is not None:
            say(f"lazyobs: writing {printable(settings.textfile)} every {settings.textfile_seconds:g} s")
            notifier.send(ready=1, status=f"writing {settings.textfile}, {series} series at the first reading")
            keep(textfile, served, settings.textfile_seconds, first)
        elif listening is not None and server is not None:
            at = address.Address(*listening.getsockname()[:2])
            say(f"lazyobs: serving {'https' if web.tls else 'http'}://{at}/metrics")
            notifier.send(ready=1, status=f"serving {at}, {series} series at the first reading")
            server.serve()
    except PageError as error:
        raise NotSupported("the first reading", str(error), "run lazyobs doctor") from None
    finally:
        notifier.send(stopping=1)
        if textfile is not None:
            textfile.remove()
        if reader is not None:
            reader.close()
        else:
            source.close()
