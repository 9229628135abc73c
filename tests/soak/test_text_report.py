# SPDX-License-Identifier: MIT
"""The letter of report --text: 72 columns, the verdict first, every reason in it."""

from __future__ import annotations

import random
import string

import pytest

from lazyobs.soak import text_report
from lazyobs.soak.cause import NAME as WHO
from lazyobs.soak.letter_lines import COLUMNS
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS, Finding, ResultTable, Verdict
from tests.soak import verdicts


def _words(text: str) -> str:
    """Unwrapped."""
    return " ".join(text.split())


def _fits(text: str) -> bool:
    return all(len(line) <= COLUMNS and line == line.rstrip() for line in text.split("\n"))


def test_the_verdict_first_then_the_reasons():
    verdict, _ = verdicts.comparison(text="worse by much " * 11)
    lines = text_report.text(verdict).split("\n")
    assert lines[0] == "lazyobs compare: FAIL"
    why, besides = lines.index("Why:"), lines.index("Open besides:")
    assert _words("\n".join(lines[why + 1 : besides])) == "* fork time: " + _words("worse by much " * 11)
    assert lines[besides + 1] == "* walk time: open"
    assert _fits("\n".join(lines))


def test_both_arms_say_what_they_are():
    verdict, recordings = verdicts.comparison()
    found = text_report.text(verdict)
    for arm, of_arm in (("base", recordings[:3]), ("new", recordings[3:])):
        block = found.partition(f"Identity of {arm}:")[2].partition("\n\n")[0]
        assert block == f"\n  lazy enabled: {'yes' if arm == 'new' else 'no'}"
        assert f"{arm}: {of_arm[0].identity['release']}, 3 recordings" in found
    both = found.partition("Identity of both:")[2]
    assert f"  release: {recordings[0].identity['release']}\n" in both and "lazy enabled" not in both


def test_a_report_without_doubt():
    findings = [
        Finding("leak", "anon_vma objects", PASS, "no leak", "day"),
        Finding("benefit", "saved", "", "23K", "day"),
    ]
    found = text_report.text(Verdict(PASS, findings, [], {"day": {"release": "7.1.0", "cpus": 2, "swap": []}}))
    assert found.split("\n")[0] == "lazyobs report: PASS"
    assert "* anon_vma objects: no leak" in found.partition("Why:")[2]  # there is one recording: it needs no name
    assert "* saved: 23K" in found
    assert "Checks passed: 1 of leak." in found
    assert "  swap: none" in found


def test_who_holds_the_growth_stands_behind_the_reasons():
    who = Finding("leak", WHO, "", "cache (pid 7): +23 chains", "day")
    findings = [Finding("leak", "anon_vma objects", INCONCLUSIVE, "open", "day"), who, Finding("benefit", "saved", "", "0", "day")]  # fmt: skip
    found = text_report.text(Verdict(INCONCLUSIVE, findings, [], {"day": {}}))
    assert f"* anon_vma objects: open\n\nWho:\n* {WHO}: cache (pid 7): +23 chains\n\nMeasured, not judged:\n* saved: 0\n" in found  # fmt: skip


def test_what_says_the_same_is_one_line():
    same = [Finding("cost", name, INCONCLUSIVE, "too few boots to tell") for name in ("fork time", "walk time")]
    findings = [*same, Finding("cost", "page migration", INCONCLUSIVE, "open", "day")]
    found = text_report.text(Verdict(INCONCLUSIVE, findings, [], {"day": {}, "night": {}}))
    assert found.partition("Why:\n")[2].startswith(
        "* fork time, walk time: too few boots to tell\n* day, page migration: open\n"
    )


def test_sentences_of_a_table_are_notes_and_empty_columns_are_left_out():
    rows = (("anon_vma", 41.25, None, "barrier samples"), ("anon_vma_chain", None, None, "not known: " + "why " * 20))
    table = ResultTable("slab KB", ("cache", "before", "interval", "source"), rows)
    apart = ResultTable("identity: what differs", ("key", "base", "new", "expected"), (("release", "a", "b", "yes"),))
    found = text_report.text(Verdict(PASS, [], [table, apart], {"day": {}}))
    assert found.partition("slab KB:\n")[2].split("\n")[:4] == [
        "cache           before",
        "anon_vma         41.25",
        "anon_vma_chain       -",
        "  anon_vma: barrier samples",
    ]
    assert "what differs" not in found and _fits(found)


@pytest.mark.parametrize("seed", range(23))
def test_whatever_is_in_it_fits(seed):
    """Tables of all widths, words of all lengths, letters of all kinds."""
    chance = random.Random(seed)
    letters = string.ascii_letters + "   \t\n-{}/%日é\u202e\x1b"

    def words(most: int) -> str:
        return "".join(chance.choice(letters) for _ in range(chance.randrange(1, most)))

    def cell():
        return chance.choice(
            [words(5), words(101), None, chance.random() * 10**9, chance.randrange(10**9), PASS, INCONCLUSIVE]
        )

    outcomes = (PASS, FAIL, INCONCLUSIVE, "")
    findings = [
        Finding(chance.choice(["leak", "cost", "validity"]), words(41), chance.choice(outcomes), words(211), words(23))
        for _ in range(47)
    ]
    tables = []
    for _ in range(11):
        width = chance.randrange(1, 13)
        rows = tuple(tuple(cell() for _ in range(width)) for _ in range(chance.randrange(5)))
        tables.append(ResultTable(words(101), tuple(words(23) for _ in range(width)), rows))
    identity = {
        words(11): {"release": words(41), "cmdline": words(401), "tiers": {words(7): words(7)}} for _ in range(5)
    }
    found = text_report.text(Verdict(FAIL, findings, tables, identity))
    assert _fits(found)
    assert found.isascii()
    assert all(line.isprintable() for line in found.split("\n"))


def test_a_table_that_fits_is_a_table():
    table = ResultTable(
        "KB", ("cache", "before", "after"), (("anon_vma", 234.26, 7.5), ("vm_area_struct", 854.6, None))
    )
    assert text_report._table(table) == [
        "cache           before  after",
        "anon_vma        234.26    7.5",
        "vm_area_struct   854.6      -",
    ]


def test_a_table_of_long_words_wraps_them():
    words = " ".join(["word"] * 17)
    table = ResultTable("", ("name", "what", "outcome"), ((words, words, INCONCLUSIVE),))
    lines = text_report._table(table)
    assert all(len(line) <= COLUMNS for line in lines)
    assert sum(line.count("word") for line in lines) == 34
    assert lines[1].endswith("open")


def test_a_table_too_wide_becomes_paragraphs():
    """Numbers are never cut."""
    numbers = tuple(10**9 + number for number in range(11))
    table = ResultTable("", ("name", *(f"n{number}" for number in range(11))), (("x", *numbers),))
    shown = _words("\n".join(text_report._table(table)))
    assert shown == "* x: " + ", ".join(f"n{number} {value}" for number, value in enumerate(numbers))


def test_many_findings_are_counted():
    findings = [Finding("leak", f"cache {number}", FAIL, "they pile up", f"day-{number}") for number in range(101)]
    found = text_report.text(Verdict(FAIL, findings, [], {}))
    assert found.count("they pile up") == text_report.MOST_LISTED
    assert f"* and {101 - text_report.MOST_LISTED} more" in found
