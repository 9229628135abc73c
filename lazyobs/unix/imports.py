# SPDX-License-Identifier: MIT
"""Libraries that cannot be imported: they are not installed for this Python, or what they want themselves is missing or
of another build."""

from __future__ import annotations

import re
import sys

_OURS = "lazyobs"
# numpy writes a page, and what happened near its end.
_ORIGINAL = re.compile(r"Original error was: (.+)")


def why_missing(error: Exception) -> str:
    """A line on a library that this Python does not have; "" for every other error, and where a module of lazyobs is
    missing."""
    name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if name in ("", _OURS):
        return ""
    return f"{sys.executable} has no {name}; run it by the command that make setup or pip has made, or install {name} there"


def broken_library(error: ImportError) -> str:
    """The library whose import failed in its own code, as in ``pyarrow``; "" where the fault is not in a library."""
    trace, within_ours, name = error.__traceback__, False, ""
    while trace is not None:
        package = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        if package == _OURS:
            within_ours, name = True, ""
        elif within_ours and not name and package not in ("importlib", "_frozen_importlib"):
            name = package
        trace = trace.tb_next
    return name


def why_broken(error: ImportError) -> str:
    """The same with the cause, in a line; "" likewise."""
    library = broken_library(error)
    return f"{library} is installed, but cannot be imported ({_cause(error)})" if library else ""


def _cause(error: ImportError) -> str:
    text = str(error)
    if found := _ORIGINAL.search(text):
        return found[1].strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
