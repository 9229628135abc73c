# SPDX-License-Identifier: MIT
"""What a terminal can show, by its name and environment. Light: it is asked before anything heavy is imported."""

from __future__ import annotations

import curses
import os
from collections.abc import Mapping

MONO, ANSI, RICH = "mono", "16", "256"
COLOURS = (MONO, ANSI, RICH)


def depth_of(environment: Mapping[str, str]) -> str:
    """Colours that the terminal of this environment shows; NO_COLOR (no-color.org) asks for none."""
    if environment.get("NO_COLOR"):
        return MONO
    if environment.get("COLORTERM") in ("truecolor", "24bit"):
        return RICH
    name = environment.get("TERM", "dumb")
    try:
        curses.setupterm(name, 2)
        colours = curses.tigetnum("colors")
    except curses.error:  # a terminal that this machine knows nothing of: its name may say it
        return RICH if name.endswith("256color") else ANSI if name.endswith("color") else MONO
    return MONO if colours < 8 else ANSI if colours < 256 else RICH


def has_blocks(environment: Mapping[str, str], encoding: str | None) -> bool:
    """Whether block letters can be shown: the font of the Linux console lacks half of them."""
    return not environment.get("TERM", "").startswith("linux") and (encoding or "").lower().replace("-", "") == "utf8"


def is_plain_terminal(name: str, environment: Mapping[str, str]) -> bool:
    """True where a line costs too long to send, or cursor keys and clearing are not known: serial consoles."""
    base = os.path.basename(name)
    slow = (
        base.startswith(("ttyS", "ttyAMA", "ttyUSB", "ttyACM", "hvc", "hvsi", "ttysclp", "sclp", "xvc"))
        or base == "console"
    )
    return slow or environment.get("TERM", "") in ("", "dumb", "unknown", "network", "dialup")
