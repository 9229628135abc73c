# SPDX-License-Identifier: MIT
"""HOST:PORT, with and without a default."""

from __future__ import annotations

import pytest

from lazyobs.errors import UsageError
from lazyobs.screen.web.run import listen as listen_for_browsers
from lazyobs.unix.address import Address, parse

DEFAULT = Address("127.0.0.1", 9798)


@pytest.mark.parametrize("default", [None, DEFAULT])
def test_host_and_port(default: Address | None) -> None:
    assert parse("-x", "127.0.0.1:9797", default) == ("127.0.0.1", 9797)
    assert parse("-x", "some.host:0", default) == ("some.host", 0)
    assert parse("-x", "[::1]:9797", default) == ("::1", 9797)
    assert parse("-x", ":9797", default) == ("", 9797)


def test_port_or_host_alone_where_there_is_a_default() -> None:
    assert parse("-x", "9797", DEFAULT) == ("127.0.0.1", 9797)
    assert parse("-x", "0.0.0.0", DEFAULT) == ("0.0.0.0", 9798)
    assert parse("-x", "[::]", DEFAULT) == ("::", 9798)
    for alone in ("9797", "0.0.0.0", "[::]"):
        with pytest.raises(UsageError, match="is not HOST:PORT"):
            parse("-x", alone)


@pytest.mark.parametrize("default", [None, DEFAULT])
@pytest.mark.parametrize(
    "text",
    ["", ":", "[]", "[]:9797", "::1:9797", "[::1", "::1]:1", "host:", "[::1]:", "host:http", "host:65536", "host:-1",
     "host:+1", "host: 1", "host:\u0661", "a[b]:1", "99999"],
)  # fmt: skip
def test_what_names_no_address(text: str, default: Address | None) -> None:
    with pytest.raises(UsageError, match="is not HOST:PORT"):
        parse("-x", text, default)


def test_written_as_it_is_read() -> None:
    for text in ("127.0.0.1:9797", "[::1]:9797", ":9797"):
        assert str(parse("-x", text)) == text


def test_every_address_without_a_password_has_to_be_written_out() -> None:
    with pytest.raises(UsageError, match=r"every address .* use 127\.0\.0\.1:9798, or 0\.0\.0\.0:9798"):
        listen_for_browsers(":9798")
