# SPDX-License-Identifier: MIT
"""Numbers, names and lines as a terminal gets them."""

from __future__ import annotations

import pytest

from lazyobs import text
from lazyobs.views.plain_screen import fit


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[2Jgone", "?[2Jgone"),
        ("a\nb\tc\r", "a?b?c?"),
        ("\x9b31m", "?31m"),
        ("\u202egnp.exe", "?gnp.exe"),
        ("zero\u200bwidth", "zero?width"),
        ("漢字", "漢字"),
        ("\udcff", "?"),
    ],
)
def test_nothing_reaches_the_terminal_raw(raw, shown):
    assert text.printable(raw) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"), (0, "0"), (0.0, "0"), (0.25, "0.2"), (999.9, "999.9"), (1234.5, "1234"),
        (9_999_999, "9999999"), (12_345_678, "12.3M"), (98_765_432_100, "98.8G"),
    ],
)  # fmt: skip
def test_numbers_are_short(value, shown):
    assert text.number(value) == shown
    assert len(text.number(value)) <= 8


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (0, "0"),
        (1023, "1023"),
        (1024, "1.0K"),
        (168 * 5003, "821K"),
        (3 << 30, "3.0G"),
        (1 << 60, "1024P"),
    ],
)
def test_sizes_are_binary(value, shown):
    assert text.size(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "-"), (2.56e-7, "256ns"), (3.1e-6, "3.1us"), (0.25, "250ms"), (17.0, "17s")]
)
def test_durations_have_a_unit(value, shown):
    assert text.seconds(value) == shown


@pytest.mark.parametrize(
    ("line", "columns", "shown"),
    [("abcdef", 3, "abc"), ("abc", 3, "abc"), ("漢字漢字", 5, "漢字"), ("", 0, ""), ("a\u0301bc", 2, "a\u0301b")],
)
def test_lines_are_cut_at_the_terminals_width(line, columns, shown):
    assert fit(line, columns) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "events"), (1, "event"), (1.0, "event"), (1.5, "events"), (23, "events")]
)
def test_one_is_singular(count, shown):
    assert text.plural(count, "event") == shown
    assert text.plural(count, "process", "processes") == ("process" if shown == "event" else "processes")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1258291.0, 980992.0), ["1.20M", "0.94M"]),
        ((12582910.0, 980992.0), ["12.0M", "0.9M"]),
        ((1258291000.0, 980992.0), ["1.17G", "0.00G"]),
        ((204800.0, -1.0), ["200K", "0K"]),
        ((1023.0, 211.0), ["1023", "211"]),
        ((-3072.0, 101.0), ["-3.00K", "0.10K"]),
        ((), []),
    ],
)
def test_sizes_share_a_unit(values: tuple[float, ...], expected: list[str]) -> None:
    assert text.sizes(*values) == expected


@pytest.mark.parametrize(
    ("value", "too_much", "shown"),
    [
        (1035, 1560, "<=1035"),
        (1035, 207, "1035"),
        (1035, 208, "<=1035"),
        (1035, None, "1035"),
        (0, 9, "0"),
        (None, 9, "-"),
    ],
)
def test_what_may_be_too_much_is_an_upper_bound(value, too_much, shown):
    assert text.at_most(value, too_much) == shown


@pytest.mark.parametrize(
    ("share", "shown"), [(-0.0001, "+0.0%"), (0.0, "+0.0%"), (-0.0006, "-0.1%"), (0.1234, "+12.3%"), (2.0, "+200.0%")]
)
def test_a_change_has_a_sign_and_no_negative_zero(share: float, shown: str) -> None:
    assert text.percent(share) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(9.994e-7, "999ns"), (9.997e-7, "1us"), (9.998e-4, "1ms"), (0.9999, "1s"), (12.34, "12.3s"), (4387.52, "4388s")],
)
def test_a_duration_has_no_exponent(value: float, shown: str) -> None:
    assert text.seconds(value) == shown
