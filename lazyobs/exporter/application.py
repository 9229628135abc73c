# SPDX-License-Identifier: MIT
"""The exporter's paths: /metrics, /healthz, /readyz, and a list of them at /."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Protocol

from lazyobs.exporter.page import PageError, content_type, wants_openmetrics
from lazyobs.exporter.server import Answer, Application

_INDEX = b"lazyobs exporter: /metrics, /healthz (it runs), /readyz (the last reading succeeded)\n"


class Pages(Protocol):
    """Makes the pages: in this process (page.Page), or in the reader process (privileged_reader.RemotePages)."""

    @property
    def error(self) -> str | None: ...

    def text(self, openmetrics: bool = False) -> bytes: ...


# Whether a request's Authorization header ("" where there is none) lets it in.
Authorise = Callable[[str], bool]


def make_application(pages: Pages, authorise: Authorise | None = None) -> Application:
    """``/healthz`` and ``/readyz`` answer yes or no, without a password."""

    def application(path: str, headers: Mapping[str, str]) -> Answer:
        if path == "/healthz":
            return Answer(HTTPStatus.OK, b"ok\n")
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
        return Answer(HTTPStatus.OK, pages.text(openmetrics), content_type(openmetrics))
    except PageError as error:
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, f"503: {error}\n".encode())


def _unready() -> Answer:
    return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"not ready\n")
