# SPDX-License-Identifier: MIT
"""The pictures of the documents say what the program says today. `python -m drawing NAME` draws one anew."""

from __future__ import annotations

import re

import pytest

from drawing import boards, pages, pictures, screen
from tests.harness import ROOT


def words(name: str) -> str:
    return (pictures.PICTURES / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", pictures.SCREENS)
def test_a_screen_has_not_changed_since_it_was_drawn(name):
    assert screen.shown(pictures.SCREENS[name], pictures.EXAMPLES).text + "\n" == words(name)


@pytest.mark.parametrize("name", boards.BOARDS)
def test_a_board_has_the_panels_of_its_picture(name):
    assert boards.BOARDS[name].titles() == words(name).splitlines()
    assert len(boards.BOARDS[name].titles()) > 5


@pytest.mark.parametrize("name", pages.PAGES)
def test_a_page_says_what_its_picture_does(name):
    assert pages.words(name) == words(name)


def test_every_picture_is_drawn_by_a_script_and_shown():
    shown = {
        name
        for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
        for name in re.findall(r"pictures/([\w-]+)\.png", page.read_text(encoding="utf-8"))
    }
    there = {file.stem for file in pictures.PICTURES.glob("*.png")}
    assert shown == there == {*pictures.DRAWN}
