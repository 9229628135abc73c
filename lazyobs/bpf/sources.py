# SPDX-License-Identifier: MIT
"""Finds the probes' C files: beside this package in an installation, beside the checkout otherwise."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent
_PLACES = (_PACKAGE / "probes", _PACKAGE.parent / "probes")


def folder() -> Path:
    """Where they are. FileNotFoundError when the installation lacks them."""
    for place in _PLACES:
        if place.is_dir():
            return place
    raise FileNotFoundError(f"probes are in none of {', '.join(str(place) for place in _PLACES)}")


def read(name: str) -> str:
    """Text of probes/``name``."""
    return (folder() / name).read_text(encoding="ascii")
