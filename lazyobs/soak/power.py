# SPDX-License-Identifier: MIT
"""What a recording could have shown, in words: no leak found says little where none could be."""

from __future__ import annotations

NOTHING_SHOWN = "no leak could have been shown"
_UNBOUNDED = 1e9  # objects


def could_have_shown(rate: float, lost: float, until: str) -> str:
    """``rate`` in objects per second; ``lost`` objects, ``until``: by when."""
    return f"this recording could have shown a steady leak of {rate:.2g}/s, or a loss of {number(lost)} objects {until}"


def number(value: float) -> str:
    """Objects, with commas; in words where nothing bounds them."""
    return f"{value:,.0f}" if abs(value) < _UNBOUNDED else "any number"
