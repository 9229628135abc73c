# SPDX-License-Identifier: MIT
"""What each palette may use."""

from __future__ import annotations

from dataclasses import fields

import pytest
from rich.style import Style

from lazyobs.screen.palette import ASCII, PALETTES, UNICODE, Palette
from lazyobs.screen.terminal import ANSI, COLOURS, MONO


def styles(depth: str) -> dict[str, Style]:
    palette = PALETTES[depth]
    found = {field.name: getattr(palette, field.name) for field in fields(Palette)}
    return {name: style for name, style in found.items() if isinstance(style, Style)}


def test_without_colours_there_are_none():
    assert [name for name, style in styles(MONO).items() if style.color or style.bgcolor] == []


def test_sixteen_colours_keep_letters_apart_from_what_is_behind_them_where_there_are_eight():
    for name, style in styles(ANSI).items():
        if style.bgcolor is not None:
            assert style.bgcolor.number is not None and style.bgcolor.number < 8, name
            assert style.color is not None and style.color.number is not None, name
            assert style.color.number % 8 != style.bgcolor.number % 8, name
    assert [name for name, style in styles(ANSI).items() if style.color and (style.color.number or 0) >= 8] == ["dim"]


@pytest.mark.parametrize("depth", COLOURS)
def test_what_must_not_look_like_text_does_not(depth):
    found = styles(depth)
    for name in ("title", "tab_chosen", "heading", "cursor", "bad", "strong", "key"):
        assert found[name] != found["text"], name
    assert found["heading_sorted"] != found["heading"] and found["tab_chosen"] != found["tab"]


def test_ascii_has_a_glyph_for_each():
    assert all(str(getattr(ASCII, field.name)).isascii() for field in fields(ASCII) if field.name != "states")
    assert "".join(ASCII.states.values()).isascii() and ASCII.states.keys() == UNICODE.states.keys()
    assert len(set(ASCII.states.values())) == len(ASCII.states)
