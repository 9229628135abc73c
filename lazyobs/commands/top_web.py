# SPDX-License-Identifier: MIT
"""``lazyobs top --web``: the full screen in browsers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazyobs.commands.top_screen import open_feed, remembered
from lazyobs.errors import NotSupported, way_to_install

try:
    from lazyobs.screen.web import run as web
    from lazyobs.screen.web import server, sessions  # noqa: F401 - loaded before root is given up
except ImportError as error:
    raise NotSupported("top --web", f"{error.name} is not installed", way_to_install("web")) from None

if TYPE_CHECKING:
    from lazyobs.commands.top import TopCommand


def run(asked: TopCommand, address: str) -> None:
    """Serves until a signal comes. ``address``: HOST:PORT."""
    listening, host = web.listen(address)
    static = server.load_static()
    settings_writer, settings = remembered(asked)
    if settings_writer is not None:
        settings_writer.close()
    feed = open_feed(asked, settings)
    try:
        web.run(listening, host, feed, static, settings, asked.filter, asked.views[0], asked.rows)
    finally:
        feed.close()
