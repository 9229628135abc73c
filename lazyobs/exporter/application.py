# SPDX-License-Identifier: MIT
"""The exporter's paths: /metrics, /healthz, /readyz, and a list of them at /."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Protocol

from lazyobs.exporter.negotiation import accepts_gzip, wants_openmetrics
from lazyobs.exporter.page import PageError, content_type
from lazyobs.exporter.request import Answer, Application
from lazyobs.text import printable

_GZIP, _FASTEST = 31, 1  # of zlib: windowBits with a gzip header; of the levels the fastest shrinks a page to a tenth
_VARY = ("Vary", "Accept, Accept-Encoding")
_INDEX = b"lazyobs exporter: /metrics, /healthz (it runs), /readyz (the last reading succeeded)\n"


class Pages(Protocol):
    """Makes the pages: in this process (page.Page), or in the reader process (privileged_reader.RemotePages)."""

    @property
    def error(self) -> str | None: ...

    def text(self, openmetrics: bool = False) -> bytes: ...


# Whether a request's Authorization header ("" where there is none) lets it in.
Authorise = Callable[[str], bool]


def make_application(
    pages: Pages, authorise: Authorise | None = None, trouble: Callable[[], str] = lambda: ""
) -> Application:
    """``/healthz`` and ``/readyz`` answer yes or no, without a password. ``trouble``: why connections were refused of
    late, "" if none was."""

    def application(path: str, headers: Mapping[str, str]) -> Answer:
        if path == "/healthz":
            why = trouble()
            return (
                Answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{why}\n".encode()) if why else Answer(HTTPStatus.OK, b"ok\n")
            )
        if path == "/readyz":
            return Answer(HTTPStatus.OK, b"ok\n") if pages.error is None else _unready()
        if authorise is not None and not authorise(headers.get("authorization", "")):
            return Answer(
                HTTPStatus.UNAUTHORIZED, b"401\n", headers=(("WWW-Authenticate", 'Basic realm="lazyobs", charset="UTF-8"'),)
            )  # fmt: skip
        if path == "/metrics":
            return _metrics(pages, headers)
        if path == "/":
            return Answer(HTTPStatus.OK, _INDEX)
        return Answer(HTTPStatus.NOT_FOUND, b"404: try /metrics\n")

    return application


def _metrics(pages: Pages, headers: Mapping[str, str]) -> Answer:
    openmetrics = wants_openmetrics(headers.get("accept", ""))
    try:
        page = pages.text(openmetrics)
    except PageError as error:
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, f"503: {printable(str(error))}\n".encode())
    if not accepts_gzip(headers.get("accept-encoding", "")):
        return Answer(HTTPStatus.OK, page, content_type(openmetrics), (_VARY,))
    packer = zlib.compressobj(_FASTEST, zlib.DEFLATED, _GZIP)
    packed = packer.compress(page) + packer.flush()
    return Answer(HTTPStatus.OK, packed, content_type(openmetrics), (_VARY, ("Content-Encoding", "gzip")))


def _unready() -> Answer:
    return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"not ready\n")
