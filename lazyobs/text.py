# SPDX-License-Identifier: MIT
"""Numbers and names as text. Text that comes from outside reaches a terminal, a page or a label through ``printable``
alone: tests/test_edges.py lists every place that writes."""

from __future__ import annotations

import sys
import unicodedata

NULL = "-"


def printable(text: str) -> str:
    """``text`` with control, format (bidirectional, zero-width), unassigned and line-breaking characters as ``?``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join("?" if _acts(unicodedata.category(letter)) else letter for letter in text)


def _acts(category: str) -> bool:
    """Whether letters of that category do something to a terminal or page, or begin a line (U+2028, U+2029)."""
    return category[0] == "C" or category in ("Zl", "Zp")


def width(text: str) -> int:
    """Terminal columns that printable text takes: two for a wide letter, none for a mark that combines with the one
    before."""
    return len(text) if text.isascii() else sum(map(_letter_width, text))


def _letter_width(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me") or "\u1160" <= letter <= "\u11ff":  # vowels and finals of Hangul
        return 0
    return 2 if unicodedata.east_asian_width(letter) in ("W", "F") else 1


def c_string(raw: bytes) -> str:
    """The kernel's text up to its zero byte, as it is: ``printable`` is for those who show it."""
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")


def say(line: str) -> None:
    """One printable line on standard error, at once."""
    print(printable(" ".join(line.split())), file=sys.stderr, flush=True)


def number(value: float | int | None) -> str:
    """A count or rate in at most 8 characters; ``-`` if it is not known."""
    if value is None:
        return NULL
    if isinstance(value, float) and not value.is_integer() and abs(value) < 1000:
        return f"{value:.1f}"
    if abs(value) < 10_000_000:
        return str(int(value))
    for unit in "MGTP":
        value /= 1000
        if unit == "M":
            value /= 1000
        if abs(value) < 10_000:
            return f"{value:.1f}{unit}"
    return f"{value:.0f}P"


def at_most(value: int | None, too_much: int | None) -> str:
    """``number(value)``, as "<=" where up to ``too_much`` of it, more than a fifth, may not be there."""
    mark = "<=" if value and too_much and 5 * too_much > value else ""
    return mark + number(value)


def within(value: float | None, error: int | None) -> str:
    """``number(value)``, and how far it can be from the truth where that is known: ``130 ±1,140``."""
    return number(value) + (f" ±{number(error)}" if value is not None and error else "")


def plural(count: float, one: str, more: str = "") -> str:
    """The singular ``one`` or the plural ``more`` (default: ``one`` with an s), by the count."""
    return one if count == 1 else more or f"{one}s"


def size(value: float | int | None) -> str:
    """Bytes in binary units: ``4.1K``, ``-`` if not known."""
    if value is None:
        return NULL
    value = float(value)
    for unit in ("", "K", "M", "G", "T"):
        if abs(value) < 1024:
            return f"{value:.0f}{unit}" if not unit or abs(value) >= 100 else f"{value:.1f}{unit}"
        value /= 1024
    return f"{value:.0f}P"


def percent(share: float) -> str:
    """A change with its sign, ``+4.2%``; never a negative zero."""
    return f"{round(share, 3) + 0.0:+.1%}"


def sizes(*values: float) -> list[str]:
    """Bytes in the binary unit of the largest value, three digits of it, so that they are easy to compare."""
    unit, factor = "", 1.0
    for unit, factor in (("", 1.0), ("K", 2.0**10), ("M", 2.0**20), ("G", 2.0**30), ("T", 2.0**40)):  # noqa: B007
        if max(map(abs, values), default=0.0) < 1024 * factor:
            break
    largest = max(map(abs, values), default=0.0) / factor
    decimals = 0 if not unit or largest >= 100 else 1 if largest >= 10 else 2
    return [f"{round(value / factor, decimals) + 0.0:.{decimals}f}{unit}" for value in values]


def seconds(value: float | None) -> str:
    """A duration from nanoseconds to seconds, three digits of it: ``412ns``, ``3.1us``, ``4388s``."""
    if value is None:
        return NULL
    for factor, unit in ((1e9, "ns"), (1e6, "us"), (1e3, "ms")):
        if abs(value) * factor < 999.5:  # what is rounded to 1000 is one of the next unit
            return f"{value * factor:.3g}{unit}"
    return f"{value:.3g}s" if abs(value) < 999.5 else f"{value:.0f}s"
