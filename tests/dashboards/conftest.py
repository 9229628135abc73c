# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dashboards.fleet import exporting
from tests.dashboards.prometheus_server import Programs, programs_or_why
from tests.exporter.host import Host
from tests.harness import skip


@pytest.fixture(scope="session")
def programs() -> Programs:
    """prometheus and promtool; skips with the reason where there are none."""
    found = programs_or_why()
    if isinstance(found, str):
        skip("prometheus", found)
    return found


@pytest.fixture(scope="session")
def fleet() -> Iterator[list[str]]:
    """Three hosts: a lazy kernel switched on and off, and a mainline one."""
    hosts = [
        Host("6.12.1-lab", lazy=True, real_time=True),
        Host("6.12.1-lab", lazy=False, real_time=True, scale=2),
        Host("6.12.1-mainline", lazy=None, real_time=True, scale=3),
    ]
    with exporting(*hosts) as addresses:
        yield addresses
