# SPDX-License-Identifier: MIT
"""Text in columns: wide letters take two, numbers are never cut, something is never drawn as nothing."""

from __future__ import annotations

import pytest
from rich.segment import Segment
from rich.style import Style

from lazyobs.screen import line
from lazyobs.screen.palette import UNICODE


@pytest.mark.parametrize(
    ("told", "width", "shown"),
    [("abc", 5, "abc  "), ("abcdef", 3, "abc"), ("漢字", 3, "漢 "), ("漢字", 5, "漢字 "), ("", 2, "  ")],
)
def test_padded_text_has_its_width(told, width, shown):
    assert line.pad(told, width) == shown


def test_numbers_stand_to_the_right_or_are_no_numbers():
    assert line.number("101", 5) == "  101"
    assert line.number("123456", 5) == "#####"


def test_sparks_end_with_the_newest_and_show_the_least():
    assert line.spark([0, None, 1, 1000], 6, UNICODE.spark) == "    ▁█"
    assert line.spark([7, 0, 7], 2, UNICODE.spark) == " █"
    assert line.spark([], 3, UNICODE.spark) == "   "


def test_heat_is_darker_for_more_and_shows_a_single_one():
    assert line.heat([0, 1, 1000, 700], UNICODE.heat) == " ░█▓"


def test_a_line_fills_its_width_exactly():
    made = line.strip([Segment("漢字漢字")], 5, Style())
    assert made.cell_length == 5
    assert line.strip([Segment("ab")], 5, Style()).cell_length == 5


def test_the_right_end_gives_way():
    left, right = [Segment("left")], [Segment("right")]
    assert "".join(one.text for one in line.spread(left, right, 12, Style())) == "left   right"
    assert "".join(one.text for one in line.spread(left, right, 9, Style())) == "left"
