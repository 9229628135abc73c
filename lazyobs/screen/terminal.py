# SPDX-License-Identifier: MIT
"""What a terminal supports, by its name and environment. Imports little, because the plain screen needs it too."""

from __future__ import annotations

import os
from collections.abc import Mapping

MONO, ANSI, RICH = "mono", "16", "256"
COLOURS = (MONO, ANSI, RICH)


def depth_of(environment: Mapping[str, str]) -> str:
    """The colours that the terminal supports; none if NO_COLOR is set (no-color.org)."""
    if environment.get("NO_COLOR"):
        return MONO
    if environment.get("COLORTERM") in ("truecolor", "24bit"):
        return RICH
    import curses  # not for a command that prints tables

    name = environment.get("TERM", "dumb")
    try:
        curses.setupterm(name, 2)
        colours = curses.tigetnum("colors")
    except curses.error:  # not in this machine's terminfo: go by its name
        return RICH if name.endswith("256color") else ANSI if name.endswith("color") else MONO
    return MONO if colours < 8 else ANSI if colours < 256 else RICH


def has_blocks(environment: Mapping[str, str], encoding: str | None) -> bool:
    """Whether the terminal has block characters: the font of the Linux console lacks half of them."""
    return not environment.get("TERM", "").startswith("linux") and (encoding or "").lower().replace("-", "") == "utf8"


def is_plain_terminal(name: str, environment: Mapping[str, str]) -> bool:
    """True for serial consoles, which are too slow, and for terminals without cursor movement."""
    base = os.path.basename(name)
    slow = (
        base.startswith(("ttyS", "ttyAMA", "ttyUSB", "ttyACM", "hvc", "hvsi", "ttysclp", "sclp", "xvc"))
        or base == "console"
    )
    return slow or environment.get("TERM", "") in ("", "dumb", "unknown", "network", "dialup")
