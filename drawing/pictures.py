# SPDX-License-Identifier: MIT
"""The pictures of the documents, each with how it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from drawing import fleet, pages, screen
from drawing.screen import ScreenPicture

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs/pictures"
EXAMPLES = ROOT / "examples"

SCREENS = {
    "top": ScreenPicture("leak", 120, 30),
    "top-rmap": ScreenPicture("lab", 120, 30, keys=("3",)),
    "top-promotions": ScreenPicture("lab", 120, 30, keys=("4",)),
}


def _screen(name: str) -> Callable[[Path], str]:
    return lambda file: screen.draw(SCREENS[name], EXAMPLES, file)


# {name: a function that writes the PNG and returns the words in it}
DRAWN: dict[str, Callable[[Path], str]] = {
    **{name: _screen(name) for name in SCREENS},
    "fleet": fleet.draw,
    "report": pages.draw,
}


def draw(name: str) -> None:
    """Writes the picture and its words."""
    words = DRAWN[name](PICTURES / f"{name}.png")
    (PICTURES / f"{name}.txt").write_text(words, encoding="utf-8")
