# SPDX-License-Identifier: MIT
"""Lines of styled text. All text passes through ``cut`` or ``pad``; none is parsed as markup."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

Line = list[Segment]

# rich reads its table of widths for the first letter beyond ASCII: by then root may be given up, and its files out of
# reach.
cell_len("\u597d")


def cut(text: str, width: int) -> str:
    """``text`` in at most ``width`` terminal columns."""
    if text.isascii():
        return text[:width]
    return text if cell_len(text) <= width else set_cell_size(text, max(width, 0))


def pad(text: str, width: int, right: bool = False) -> str:
    """``text`` in exactly ``width`` terminal columns; ``right`` aligns it to the right."""
    if text.isascii():
        return text[:width].rjust(width) if right else text[:width].ljust(width)
    used = cell_len(text)
    if used >= width:
        return set_cell_size(text, width)
    return " " * (width - used) + text if right else text + " " * (width - used)


def number(text: str, width: int) -> str:
    """A number, aligned to the right. One that does not fit becomes ``###``: cut, it would be another number."""
    return text.rjust(width) if len(text) <= width else "#" * width


def strip(line: Line, width: int, rest: Style) -> Strip:
    """The line in exactly ``width`` columns; ``rest`` is the style of the blanks that fill it."""
    whole = Strip(line)
    if whole.cell_length > width:
        return whole.crop(0, width)
    return whole.extend_cell_length(width, rest)


def spread(left: Line, right: Line, width: int, rest: Style) -> Line:
    """``left``, and ``right`` aligned to the right if both fit."""
    gap = width - Segment.get_line_length(left) - Segment.get_line_length(right)
    return [*left, Segment(" " * gap, rest), *right] if gap >= 1 else left


def words(parts: Sequence[tuple[str, Style]], gap: str = "  ") -> Line:
    """The parts, separated by ``gap``; empty parts are left out."""
    line: Line = []
    for text, style in parts:
        if text:
            line += [Segment(gap), Segment(text, style)] if line else [Segment(text, style)]
    return line


def spark(values: Sequence[float | None], width: int, glyphs: str) -> str:
    """The last ``width`` values as bars, scaled to the largest; a value above 0 is never drawn as blank."""
    values = values[-width:]
    top = max((value for value in values if value), default=0.0)
    steps = len(glyphs) - 1
    bars = "".join(glyphs[max(1, round(value / top * steps))] if value else glyphs[0] for value in values)
    return bars.rjust(width, glyphs[0])


def heat(counts: Sequence[int], glyphs: str) -> str:
    """One glyph per count, darker for more; any count above 0 shows."""
    top, steps = max(counts, default=0), len(glyphs) - 1
    return "".join(glyphs[max(1, round(count / top * steps))] if count else glyphs[0] for count in counts)
