# SPDX-License-Identifier: MIT
"""One widget that is the whole screen and redraws only the lines that changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class Canvas(Widget):
    """Shows strips from the top. It uses none of Textual's layout, style sheets and scroll bars: with them a refresh
    costs several times as much."""

    can_focus = True
    DEFAULT_CSS = "Canvas { width: 100%; height: 100%; background: ansi_default; color: ansi_default; }"

    def __init__(self, resized: Callable[[], None]) -> None:
        """``resized`` is called when the size has changed."""
        super().__init__()
        self._resized = resized
        self._strips: list[Strip] = []

    def show(self, strips: Sequence[Strip]) -> None:
        """Shows these strips, the first at the top."""
        before, self._strips = self._strips, list(strips)
        changed = [index for index, strip in enumerate(self._strips) if index >= len(before) or before[index] != strip]
        changed += range(len(self._strips), len(before))
        width = self.size.width
        regions = []
        begin = end = -1
        for index in changed:  # adjacent lines are one region
            if index != end:
                if end > begin:
                    regions.append(Region(0, begin, width, end - begin))
                begin = index
            end = index + 1
        if end > begin:
            regions.append(Region(0, begin, width, end - begin))
        if regions:
            self.refresh(*regions)

    def on_resize(self) -> None:
        self._resized()

    def text(self) -> str:
        """What is shown, without styles."""
        return "\n".join(strip.text.rstrip() for strip in self._strips)

    def render_line(self, y: int) -> Strip:
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width)
