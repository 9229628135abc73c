# SPDX-License-Identifier: MIT
"""What is printed: KTAP that a strict parser takes, JSON lines, and the exit codes of kselftest."""

from __future__ import annotations

import io
import json

import pytest

from lazyobs.selftest.judge import Check
from lazyobs.selftest.pattern import WrongPage
from lazyobs.selftest.results import JsonLines, Ktap, Result, exit_code
from tests.selftest.ktap import parse_ktap


def _results() -> list[Result]:
    passed = Result("fork_chain", checks=[Check("fork", "forks", 1, 1)], pages=23)
    skipped = Result("move_pages")
    skipped.skip("numa: 1 NUMA node\nwith # memory")
    failed = Result(
        "swap_out_and_in",
        checks=[Check("out", "swapped", 69, 68), Check("out", "forks", 0, 0), Check("out", "promotions", 0, None)],
        wrong=[WrongPage(0x7F0000001000, 32, "00" * 16, "ff" * 16, "swap in")],
        notes=["evil \x1b[31m # not ok 1 name"],
        kernel_log=["[    1.000000] WARNING: something"],
    )
    failed.fail("1 of 3 numbers differ")
    return [passed, skipped, failed]


def _printed(verbose: bool = False) -> str:
    out = io.StringIO()
    ktap = Ktap(out, verbose)
    ktap.begin(3, ["kernel 6.1"])
    for result in _results():
        ktap.result(result)
    ktap.end(["23 pages compared"])
    return out.getvalue()


def test_ktap_is_what_the_kernel_says_it_is() -> None:
    found = parse_ktap(_printed())
    assert [(outcome, name) for outcome, name, _ in found] == [
        ("pass", "fork_chain"),
        ("skip", "move_pages"),
        ("fail", "swap_out_and_in"),
    ]
    assert _printed().splitlines()[-1] == "# Totals: pass:1 fail:1 xfail:0 xpass:0 skip:1 error:0"


def test_a_failure_tells_page_bytes_events_and_kernel_log() -> None:
    said = "\n".join(parse_ktap(_printed())[2][2])
    assert "page 0x7f0000001000 offset 0x20 expected " + "00" * 16 + " found " + "ff" * 16 in said
    assert "step 'out': swapped expected 69 found 68" in said
    assert "events: out: swapped=68" in said
    assert "not known at this tier: promotions" in said
    assert "kernel log: [ 1.000000] WARNING: something" in said


def test_nothing_of_a_process_reaches_the_terminal_raw() -> None:
    assert all(letter.isprintable() for letter in _printed(verbose=True) if letter != "\n")


def test_verbose_shows_the_events_of_what_passed() -> None:
    assert "fork_chain: fork: forks=1" in parse_ktap(_printed(verbose=True))[0][2]
    assert "fork_chain: fork: forks=1" not in parse_ktap(_printed())[0][2]


def test_json_lines() -> None:
    out = io.StringIO()
    lines = JsonLines(out)
    for result in _results():
        lines.result(result)
    lines.end(["remark"])
    documents = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [document.get("outcome") for document in documents] == ["pass", "skip", "fail", None]
    assert documents[2]["checks"][0] == {
        "step": "out",
        "what": "swapped",
        "expected": 69,
        "found": 68,
        "others": 0,
        "ok": False,
    }
    assert documents[2]["wrong_pages"][0]["offset"] == 32
    assert documents[3] == {"summary": {"pass": 1, "fail": 1, "skip": 1}, "remarks": ["remark"]}


def test_what_was_begun_is_bailed_out_of() -> None:
    out = io.StringIO()
    ktap = Ktap(out, verbose=False)
    ktap.bail_out("interrupted")
    assert out.getvalue() == ""
    ktap.begin(3, [])
    ktap.bail_out("interrupted")
    assert out.getvalue().splitlines() == ["KTAP version 1", "1..3", "Bail out! interrupted"]


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [(["pass"], 0), (["pass", "skip"], 0), (["skip", "skip"], 4), (["pass", "fail", "skip"], 1), (["fail"], 1)],
)
def test_exit_codes_of_kselftest(outcomes: list[str], code: int) -> None:
    assert exit_code([Result("one", outcome) for outcome in outcomes]) == code
