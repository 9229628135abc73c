# SPDX-License-Identifier: MIT
"""Times of day and days, and times that no calendar has."""

from __future__ import annotations

import time

import pytest

from lazyobs.screen import table_lines
from lazyobs.views.local_time import local_time, start_time

pytestmark = pytest.mark.usefixtures("in_utc")


def test_a_time_of_day_or_a_day():
    now = time.time()
    assert local_time(1_000_000_000.5) == "01:46:40"
    assert start_time(now - 60) == time.strftime("%H:%M:%S", time.gmtime(now - 60))
    assert start_time(1_000_000_000.5) == "09 Sep"


def test_a_start_time_fits_its_column():
    width = table_lines.column_width("start_time")
    assert all(len(start_time(month * 2_629_800.0)) <= width for month in range(12))


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), 1e300, -1e300])
def test_what_no_calendar_has_is_unknown(seconds):
    assert local_time(seconds) == start_time(seconds) == "-"
