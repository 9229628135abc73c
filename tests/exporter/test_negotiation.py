# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from lazyobs.exporter.negotiation import accepts_gzip, wants_openmetrics

# As Prometheus 2.45 and 3.0 ask.
PROMETHEUS_2 = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
PROMETHEUS_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
PROTOBUF_FIRST = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;q=0.5,text/plain;q=0.3"


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False), ("*/*", False), ("text/plain", False), ("application/openmetrics-text", True),
        (PROMETHEUS_2, True), (PROMETHEUS_3, True), (PROTOBUF_FIRST, True),
        ("Application/OpenMetrics-Text; Version=1.0.0", True), ("APPLICATION/*", True),
        ("application/openmetrics-text;q=0", False), ("application/openmetrics-text;Q=0, */*", False),
        ("application/openmetrics-text;q=0.000,text/plain;q=0.001", False),
        ("application/openmetrics-text;q=0.3,text/plain;q=0.7", False), ("application/openmetrics-text,text/plain", False),
        ("text/plain;q=0.2 , application/openmetrics-text ; q=0.3", True), ("text/plain;q=0, */*;q=0.1", True),
        ("text/*;q=0.9, application/*;q=0.1", False), ("text/*;q=0.1, application/*;q=0.9", True),
        ("application/openmetrics-text;q=nan", False), ("application/openmetrics-text;q=7", False),
        ("application/openmetrics-text;q=0.1234", False), ("application/openmetrics-text;q=", False),
        ("application/openmetrics-textile", False), ("image/webp", False), (",,;q=1,;;", False),
    ],
)  # fmt: skip
def test_accept(accept: str, openmetrics: bool) -> None:
    assert wants_openmetrics(accept) == openmetrics


@pytest.mark.parametrize(
    ("accept_encoding", "gzip"),
    [
        ("", False), ("gzip", True), ("GZIP", True), ("x-gzip", True), ("gzip;q=0", False), ("gzip; q=0.5", True),
        ("identity", False), ("identity;q=0.5, gzip;q=1.0", True), ("gzip;q=0.5, identity;q=1", False), ("*", True),
        ("*;q=0", False), ("gzip, deflate, br, zstd", True), ("deflate, br", False), ("identity;q=0, *;q=0.1", True),
        ("gzip;q=0, *", False), ("gzipped", False),
    ],
)  # fmt: skip
def test_accept_encoding(accept_encoding: str, gzip: bool) -> None:
    assert accepts_gzip(accept_encoding) == gzip
