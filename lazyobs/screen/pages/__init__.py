# SPDX-License-Identifier: MIT
"""What each page of the screen shows. The process and fork tables are in process_table.py."""

from __future__ import annotations

from collections.abc import Callable

from lazyobs.screen.pages import locks, probes, promotions, rmap, slabs
from lazyobs.screen.pages.page import Page

PAGES: dict[str, Callable[[Page], None]] = {
    "rmap": rmap.draw,
    "promotions": promotions.draw,
    "slabs": slabs.draw,
    "probes": probes.draw,
    "locks": locks.draw,
}
