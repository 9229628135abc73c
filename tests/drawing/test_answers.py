# SPDX-License-Identifier: MIT
"""The answers in the README are what the commands print. `python -m drawing answers` writes them again."""

from __future__ import annotations

import pytest

from drawing import answers

README = answers.README.read_text(encoding="utf-8")


@pytest.mark.parametrize("answer", answers.ANSWERS, ids=lambda answer: answer.shown.split()[1])
def test_it_is_what_the_command_prints(answer):
    assert answers.blocks(README)[answer.shown] == answers.printed(answer)


def test_each_question_has_a_command_of_forty_characters_at_most():
    assert set(answers.blocks(README)) == {answer.shown for answer in answers.ANSWERS}
    assert max(len(answer.shown) for answer in answers.ANSWERS) <= 40


def test_a_block_is_replaced_and_nothing_else(tmp_path, monkeypatch):
    file = tmp_path / "README.md"
    file.write_text(README.replace("INCONCLUSIVE\n", "PASS\n"))
    monkeypatch.setattr(answers, "README", file)
    monkeypatch.setattr(answers, "printed", lambda answer: answers.blocks(README)[answer.shown])
    answers.write()
    assert file.read_text() == README
