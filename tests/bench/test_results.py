# SPDX-License-Identifier: MIT
"""Results that are kept, and the page that is made of them."""

from __future__ import annotations

from pathlib import Path

from bench import results

FIGURES = {"ns_per_event": 30.0, "bpftrace_ns_per_event": 300.0, "ratio": 0.1}


def test_the_page_is_made_of_the_kept_results() -> None:
    assert results.PAGE.read_text() == results.page(results.read())


def test_every_kept_figure_of_the_page_is_there() -> None:
    """A benchmark that names its figures otherwise would leave dashes."""
    for one in results.read():
        for row in results.ROWS:
            if row.benchmark == one["benchmark"]:
                paths = filter(None, (row.ours, row.peer, row.ratio, row.quartiles))
                assert all(results._at(one["figures"], path) is not None for path in paths), row


def test_a_result_takes_the_place_of_the_earlier_one(tmp_path: Path) -> None:
    kept = tmp_path / "results.json"
    results.keep("event_cost", {**FIGURES, "ratio": 0.5}, kept)
    results.keep("census", {}, kept)
    results.keep("event_cost", FIGURES, kept)
    assert [(one["benchmark"], one["figures"]) for one in results.read(kept)] == [
        ("census", {}),
        ("event_cost", FIGURES),
    ]
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_a_result_of_another_place_has_a_name_and_versions_of_its_own(tmp_path: Path) -> None:
    kept = tmp_path / "results.json"
    results.keep("event_cost", FIGURES, kept)
    versions = {"commit": "abc", "python": "3.14.5", "bcc": "0.37.0", "bpftrace": "0.27.1", "load": None}
    results.keep("event_cost", FIGURES, kept, where="The lab", known=versions)
    page = results.page(results.read(kept))
    assert f"## {results.machine()}" in page and "## The lab" in page
    assert "Python 3.14.5, BCC 0.37.0, bpftrace 0.27.1." in page
    assert ", abc |" in page.partition("## The lab")[2]


def test_lines_of_the_page() -> None:
    one = {"benchmark": "event_cost", "date": "2026-11-27", "commit": "abc", "load": 0.2, "figures": FIGURES}
    pair = {"one": 0.5, "other": 0.4, "ratio": 1.25, "ratio_quartiles": [1.2, 1.31]}
    start = {**one, "benchmark": "start", "figures": {"warm_seconds": pair}}
    lines = results.lines_of([one, start])
    assert (
        "| a counted event, above an empty program, ns | 30 | 300 (bpftrace) | 0.1 | <= 0.20 "
        "| 2026-11-27, abc, load 0.2 |"
    ) in lines
    assert any("| 0.5 | 0.4 (a stock BCC tool) | 1.25 (1.2 to 1.31) | <= 0.75 |" in line for line in lines)
    unknown = [line for line in lines if line.startswith("| first numbers, first in a boot")]
    assert unknown == [
        "| first numbers, first in a boot, s | - | - (a stock BCC tool) | - | <= 1.0 | 2026-11-27, abc, load 0.2 |"
    ]
