# SPDX-License-Identifier: MIT
"""Finds the probes' C files: beside this package in an installation, beside the checkout otherwise."""

from __future__ import annotations

from pathlib import Path

_PLACES = (Path(__file__).parent / "probes", Path(__file__).parent.parent / "probes")


def read(name: str) -> str:
    """Text of probes/``name``. FileNotFoundError when the installation lacks it."""
    for place in _PLACES:
        path = place / name
        if path.is_file():
            return path.read_text(encoding="ascii")
    raise FileNotFoundError(f"{name} is in none of {', '.join(str(place) for place in _PLACES)}")
