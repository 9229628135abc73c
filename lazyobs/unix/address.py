# SPDX-License-Identifier: MIT
"""HOST:PORT, read in one way by every option that takes an address to listen at.

``127.0.0.1:9797``, ``localhost:9797`` and ``[::1]:9797`` name a host. ``:9797`` is every address, IPv4 and IPv6, as for
Prometheus' own exporters. An option with a default also takes the port alone, ``9798``, and the host alone, ``[::1]``.
"""

from __future__ import annotations

from typing import NamedTuple

from lazyobs.errors import UsageError


class Address(NamedTuple):
    """``host`` is "" for every address, and has no brackets; ``str()`` puts them around IPv6."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(option: str, text: str, default: Address | None = None) -> Address:
    """The address ``text``, as it was given to ``option``. UsageError where it is none."""
    host, colon, port = text.rpartition(":")
    if default is not None and text and (not colon or text.endswith("]")):
        colon = ":"
        host, port = (default.host, text) if text.isdecimal() else (text, str(default.port))
    has_brackets = len(host) > 2 and host.startswith("[") and host.endswith("]")
    if has_brackets:
        host = host[1:-1]
    # Without brackets it is not clear where an IPv6 address ends and the port begins.
    is_host = has_brackets or not set(":[]") & set(host)
    # int() refuses thousands of digits.
    is_port = port.isascii() and port.isdecimal() and len(port) < 10 and int(port) < 1 << 16
    if not (colon and is_host and is_port):
        raise UsageError(f"{option} {text!r}", "is not HOST:PORT", "use for example 127.0.0.1:9797 or [::1]:9797")
    return Address(host, int(port))
