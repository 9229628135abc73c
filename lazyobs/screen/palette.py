# SPDX-License-Identifier: MIT
"""Colours and glyphs of the screen, by what the terminal supports.

No meaning depends on colour alone: each VMA state has its own name and glyph, a problem begins with ``!``. The
256-colour palette is that of Okabe and Ito, which people with any common colour blindness can tell apart; the
background is the terminal's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.style import Style

from lazyobs.screen.terminal import ANSI, MONO, RICH


@dataclass(frozen=True)
class Palette:
    """Styles by their meaning. ``depth`` is one of terminal.COLOURS."""

    depth: str
    text: Style
    dim: Style  # zeros, unknown numbers, labels
    strong: Style
    title: Style  # the first line
    tab: Style
    tab_chosen: Style
    heading: Style
    heading_sorted: Style
    cursor: Style
    key: Style
    good: Style  # saved
    cost: Style  # savable
    bad: Style  # problems
    lazy: Style
    private: Style
    shared: Style
    spark: Style

    def state(self, name: str) -> Style:
        """The style of a VMA's state (bpf/census.py)."""
        return {"lazy": self.lazy, "private": self.private, "shared": self.shared}.get(name, self.dim)


def _style(text: str) -> Style:
    return Style.parse(text)


def _palette(depth: str, **styles: str) -> Palette:
    return Palette(depth, **{name: _style(text) for name, text in styles.items()})


# Of 16 colours only the first eight are behind letters: a terminal of eight would show black on black.
PALETTES = {
    MONO: _palette(
        MONO, text="none", dim="none", strong="bold", title="reverse", tab="none", tab_chosen="reverse bold",
        heading="underline", heading_sorted="underline bold", cursor="reverse", key="bold", good="bold", cost="bold",
        bad="bold reverse", lazy="bold", private="none", shared="underline", spark="none",
    ),
    ANSI: _palette(
        ANSI, text="default", dim="bright_black", strong="bold", title="white on blue", tab="default",
        tab_chosen="black on cyan", heading="black on cyan", heading_sorted="black on yellow",
        cursor="black on white", key="bold cyan", good="cyan", cost="yellow", bad="bold white on red", lazy="cyan",
        private="yellow", shared="magenta", spark="cyan",
    ),
    RICH: _palette(
        RICH, text="default", dim="#8a8a8a", strong="bold", title="bold #ffffff on #005f87", tab="#8a8a8a",
        tab_chosen="bold #ffffff on #0072b2", heading="#1c1c1c on #87afaf", heading_sorted="bold #000000 on #e69f00",
        cursor="#000000 on #56b4e9", key="bold #56b4e9", good="#56b4e9", cost="#e69f00", bad="bold #ffffff on #d55e00",
        lazy="#56b4e9", private="#e69f00", shared="#cc79a7", spark="#009e73",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Glyphs:
    """``spark`` and ``heat`` go from nothing to most; ``states`` are those of VMAs."""

    spark: str
    heat: str
    states: Mapping[str, str]
    branch: str
    last: str
    pipe: str
    rule: str
    mark: str
    open: str
    folded: str
    down: str
    up: str


UNICODE = Glyphs(
    " ▁▂▃▄▅▆▇█", " ░▒▓█", {"plain": "·", "lazy": "░", "private": "▒", "shared": "█"}, "├─ ", "└─ ", "│  ", "─", "●",
    "▾", "▸", "▼", "▲",
)  # fmt: skip
ASCII = Glyphs(
    " .:-=+*#@", " .+*#", {"plain": ".", "lazy": "z", "private": "p", "shared": "S"}, "|- ", "`- ", "|  ", "-", "O",
    "v", ">", "v", "^",
)  # fmt: skip
