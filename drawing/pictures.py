# SPDX-License-Identifier: MIT
"""The pictures of the documents, each with how it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from drawing import boards, pages, screen
from drawing.screen import ScreenPicture

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs/pictures"
EXAMPLES = ROOT / "examples"

SCREENS = {
    "top": ScreenPicture("leak", 120, 30),
    "top-rmap": ScreenPicture("lab", 120, 30, back=12, keys=("3",)),
    "top-promotions": ScreenPicture("lab", 120, 30, back=12, keys=("4",)),
}


# {name: a function that writes the PNG and returns the words in it}
DRAWN: dict[str, Callable[[Path], str]] = {
    **{name: partial(screen.draw, picture, EXAMPLES) for name, picture in SCREENS.items()},
    **{name: partial(boards.draw, picture) for name, picture in boards.BOARDS.items()},
    **{name: partial(pages.draw, name) for name in pages.PAGES},
}


def draw(name: str) -> None:
    """Writes the picture and its words."""
    words = DRAWN[name](PICTURES / f"{name}.png")
    (PICTURES / f"{name}.txt").write_text(words, encoding="utf-8")
