# SPDX-License-Identifier: MIT
"""Tables: columns stand below each other, also where letters are wide or combine, and in each sample at one place."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lazyobs.text import width
from lazyobs.views import report_table
from lazyobs.views.live_table import LiveTables
from lazyobs.views.plain_screen import fit


def live(rows: Sequence[Sequence[object]], headings: Sequence[str], left: int = 0) -> str:
    return LiveTables().table(rows, headings, left)


both = pytest.mark.parametrize("table", [live, report_table.table])


@both
def test_numbers_stand_to_the_right_and_words_to_the_left(table):
    assert table([["a", 7, "one"], ["bc", 1234, ""]], ["N", "COUNT", "LAST"], left=1).splitlines() == [
        "N   COUNT  LAST",
        "a       7  one",
        "bc   1234",
    ]


@both
def test_headings_without_rows(table):
    assert table([], ["PID", "COMMAND"]) == "PID  COMMAND"


@both
def test_wide_and_combining_letters_take_their_columns(table):
    lines = table([["日本", 1], ["e\u0301a", 2]], ["NAME", "N"], left=1).splitlines()
    assert lines == ["NAME  N", "日本  1", "e\u0301a    2"]


@both
def test_a_cell_cannot_begin_a_line(table):
    assert table([["a\nb\x1b[2J", 1]], ["NAME", "N"], left=1).splitlines()[1:] == ["a?b?[2J  1"]


def test_columns_stay_where_they_are():
    tables = LiveTables()
    first = tables.table([["postgres", 1000, "x"]], ["NAME", "CHAINS", "COMMAND"], left=1).splitlines()
    other = tables.table([["one", 2]], ["NAME", "N"], left=1).splitlines()
    then = tables.table([["sh", 1, "y"]], ["NAME", "CHAINS", "COMMAND"], left=1).splitlines()
    assert first[0] == then[0] and then[1].index("y") == first[1].index("x")
    assert other == ["NAME  N", "one   2"]


def test_columns_of_letters():
    assert width("日本") == 4 and width("e\u0301") == 1 and width("\u1112\u1161\u11ab") == 2
    assert fit("日本語", 5) == "日本"
