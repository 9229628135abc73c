# SPDX-License-Identifier: MIT
"""What a client accepts (RFC 9110, section 12.5): the text form or OpenMetrics, gzip or not."""

from __future__ import annotations

from collections.abc import Iterator

OPENMETRICS = "application/openmetrics-text"
_TEXT = "text/plain"


def wants_openmetrics(accept: str) -> bool:
    """Whether OpenMetrics is preferred to the text form, which is the answer where the two are liked the same, or none
    of them is. Parameters but q are ignored: Prometheus asks for versions that differ in nothing we use."""
    ranges = list(_weighted(accept))
    return _weight_of_type(OPENMETRICS, ranges) > _weight_of_type(_TEXT, ranges)


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether gzip was asked for, and is not liked less than no coding."""
    codings: dict[str, float] = {}
    for coding, weight in _weighted(accept_encoding):
        codings["gzip" if coding == "x-gzip" else coding] = weight
    gzip = codings.get("gzip", codings.get("*", 0.0))
    # Without a weight of its own "identity" is acceptable, but what was named is what was asked for.
    return gzip > 0 and gzip >= codings.get("identity", 0.0)


def _weighted(header: str) -> Iterator[tuple[str, float]]:
    """(name in lower case, weight) of each element; 0 where the weight is no number, as an element that says nothing."""
    for element in header.split(","):
        name, *parameters = (part.strip().lower() for part in element.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                weight = _number(value.strip())
        if name:
            yield name, weight


def _number(text: str) -> float:
    """A weight: 0 to 1 with at most three decimals. float() would take "nan" and "1e9"."""
    whole, _, decimals = text.partition(".")
    if whole not in ("0", "1") or len(decimals) > 3 or (decimals and not (decimals.isascii() and decimals.isdecimal())):
        return 0.0
    return min(float(text), 1.0)


def _weight_of_type(wanted: str, ranges: list[tuple[str, float]]) -> float:
    """The most specific range counts: "text/plain" before "text/*" before "*/*"; of several, the best."""
    for name in (wanted, wanted.partition("/")[0] + "/*", "*/*"):
        weights = [weight for range_, weight in ranges if range_ == name]
        if weights:
            return max(weights)
    return 0.0
