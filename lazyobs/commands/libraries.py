# SPDX-License-Identifier: MIT
"""What a host need not have: libraries of lazyobs[soak], which some commands import, and the lab."""

from __future__ import annotations

import importlib.util

from lazyobs import shipped
from lazyobs.errors import NotSupported, way_to_install


def need_libraries(what: str, names: tuple[str, ...]) -> None:
    """NotSupported if one of them is missing; ``what``: the command or option that needs them."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise NotSupported(what, f"needs {', '.join(missing)}", way_to_install("soak"))


def need_lab(what: str) -> None:
    """NotSupported where the installation lacks the lab."""
    try:
        shipped.lab()
    except FileNotFoundError:
        raise NotSupported(what, "needs the lab, which builds and boots kernels", way_to_install("lab")) from None
