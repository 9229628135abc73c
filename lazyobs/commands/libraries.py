# SPDX-License-Identifier: MIT
"""Libraries that a host need not have: those of lazyobs[soak], which some commands import."""

from __future__ import annotations

import importlib.util

from lazyobs.errors import NotSupported, way_to_install


def need_libraries(what: str, names: tuple[str, ...]) -> None:
    """NotSupported if one of them is missing; ``what``: the command or option that needs them."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise NotSupported(what, f"needs {', '.join(missing)}", way_to_install("soak"))
