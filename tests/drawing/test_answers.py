# SPDX-License-Identifier: MIT
"""The answers in the README and the quick start are what the commands print. `python -m drawing answers` writes them again."""

from __future__ import annotations

import pytest

from drawing import answers

SHOWN = {page.name: answers.blocks(page.read_text(encoding="utf-8")) for page in answers.PAGES}


@pytest.mark.parametrize("answer", answers.ANSWERS, ids=lambda answer: answer.shown.split()[1])
def test_it_is_what_the_command_prints(answer):
    shown = [blocks[answer.shown] for blocks in SHOWN.values() if answer.shown in blocks]
    today = answers.printed(answer)
    assert shown == [today] * len(shown) and shown


def test_each_question_has_a_command_of_forty_characters_at_most():
    assert {command for blocks in SHOWN.values() for command in blocks} == {answer.shown for answer in answers.ANSWERS}
    assert max(len(answer.shown) for answer in answers.ANSWERS) <= 40


@pytest.mark.parametrize("page", answers.PAGES, ids=lambda page: page.name)
def test_a_block_is_replaced_and_nothing_else(page):
    text = page.read_text(encoding="utf-8")
    changed = text.replace("INCONCLUSIVE\n", "PASS\n").replace("holds    1.4M", "holds    2.8M")
    assert changed != text
    assert answers.rewritten(changed, SHOWN[page.name]) == text
