# SPDX-License-Identifier: MIT
"""Each kernel and each userland, once: doctor, exact counts, census, trace, record, report, scenarios.

CI has time for a part of three tours: every stock kernel of amd64, and a userland that is not this machine's. All of
each tour, and the other ones, run where LAZYOBS_TOURS is set.

Two guests run at a time. What a tour finds is judged by lab/tour.py, as in ``make lab-kernels``.
"""

from __future__ import annotations

import concurrent.futures
import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import docs, kernels, roots, tour
from lab.errors import LabError
from tests.harness import skip
from tests.lab.guests import need, why_no_guest

pytestmark = pytest.mark.lab

STOPS = list(tour.stops(only_ci=True))
QUICK = ("debian-6.1+host", "debian-6.12+host", "debian-7.3+trixie")
QUICK_PARTS = ("doctor", "exactness", "recording", "battery")
QUICK_SCENARIOS = "control,fork_and_write,mprotect_split_and_merge,mremap_move,private_file,swap_out_and_in,move_pages"
WHOLE = bool(os.environ.get("LAZYOBS_TOURS"))
Tours = dict[str, "concurrent.futures.Future[dict[str, Any]]"]


@pytest.fixture(scope="module")
def tours() -> Iterator[Tours]:
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        wanted = STOPS if WHOLE else [stop for stop in STOPS if stop.name in QUICK]
        there = [stop for stop in wanted if not why_no_guest(stop.kernel.name, stop.root)]
        what = (tour.SUBSET, tour.PARTS) if WHOLE else (QUICK_SCENARIOS, QUICK_PARTS)
        yield {stop.name: pool.submit(tour.run, stop, *what) for stop in there}
        pool.shutdown(cancel_futures=True)


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("stop", STOPS, ids=[stop.name for stop in STOPS])
def test_lazyobs_works_on(stop: tour.Stop, tours: Tours) -> None:
    if not WHOLE and stop.name not in QUICK:
        skip("lab-all", "tours take longer than CI has: make lab-kernels, or LAZYOBS_TOURS=1")
    need(stop.kernel.name, stop.root)
    found = tours[stop.name].result()
    assert tour.complaints(stop, found) == []
    row = tour.result(stop, found)
    # Most of them must not be skipped, and no count may be left out.
    assert row["passed"] >= (10 if WHOLE else 6) and row["counts"] >= 40


def test_ci_boots_each_of_its_kernels_and_userlands() -> None:
    toured = {row.name for row in kernels.table().values() if row.ci and (row.kind == "debian" or row.tour)}
    assert {stop.kernel.name for stop in STOPS} == toured
    assert set(QUICK) <= {stop.name for stop in STOPS}
    assert {stop.root for stop in STOPS} >= {row.name for row in roots.table().values() if row.ci}


STOP = tour.Stop(kernels.kernel("debian-7.3"), "trixie")
GOOD: dict[str, Any] = {
    "release": "7.3.4+deb13-amd64",
    "python": "3.13.5",
    "doctor": {
        "found": {
            "kernel": {"profile": "mainline", "bcc": [{"interpreter": "/usr/bin/python3", "version": "0.31.0"}]},
            "tiers": {"anon_vma_fork": "fentry"},
            "why_not": {},
        },
        "seconds": 2,
    },
    "exactness": {"found": {"best": {"23": {"prepares": {"expected": 23, "found": 23}}, "health": {}}}, "seconds": 3},
    "programs": {"found": {"census": 11_032, "slab_alloc": 2_471}, "seconds": 0},
    "compiled": {"found": {"best": {"23": {"prepares": {"expected": 23, "found": 23}}, "health": {}}}},
    "views": {"found": {"census_rows": 7, "traced": 3}},
    "commands": {"found": {"fentry": {"top": 7, "export": 101}, "tracepoint": {"top": 7, "export": 97}}},
    "recording": {"found": {"word": "INCONCLUSIVE", "events": 11}},
    "battery": {
        "found": {
            "control": {"outcome": "pass", "why": "", "checks": [], "notes": []},
            "thp_fault": {"outcome": "skip", "why": "thp: none here", "checks": [], "notes": []},
        }
    },
}


def test_a_good_tour_has_no_complaints_and_is_a_row() -> None:
    assert tour.complaints(STOP, GOOD) == []
    row = tour.result(STOP, GOOD)
    assert (row["exact"], row["counts"], row["passed"]) == (1, 1, 1)
    assert (row["bcc"], row["skipped"], row["seconds"]) == ("0.31.0", {"thp_fault": "thp: none here"}, 5)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("doctor",), {"error": "RuntimeError: no"}, "doctor: RuntimeError: no"),
        (("doctor", "found", "kernel", "profile"), "lab", "profile lab, the table says mainline"),
        (("doctor", "found", "tiers", "anon_vma_fork"), None, "anon_vma_fork at tier None, the table says fentry"),
        (("doctor", "found", "kernel", "bcc", 0, "version"), "0.26.0", "the table says 0.31.0"),
        (("exactness", "found", "best", "23", "prepares", "found"), 22, "23 islands: prepares expected 23 found 22"),
        (
            ("compiled", "found", "best", "23", "prepares", "found"),
            22,
            "compiled: best, 23 islands: prepares expected 23",
        ),
        (("programs", "found", "census"), 500_001, "census took the verifier 500001 instructions, more than half"),
        (("commands", "found", "tracepoint", "export"), 0, "export gave nothing at tier tracepoint"),
        (("exactness", "found", "best", "23", "prepares", "found"), None, "expected 23 found None"),
        (("views", "found", "traced"), 0, "views: no traced"),
        (("recording",), {"error": "TimeoutExpired"}, "recording: TimeoutExpired"),
        (("battery", "found", "control", "outcome"), "fail", "selftest control"),
        (("battery", "found", "thp_fault", "why"), "", "thp_fault: skipped without a reason"),
        (("ended",), "kernel complained", "kernel complained"),
    ],
)
def test_what_is_wrong_is_a_complaint(path: tuple[str | int, ...], value: Any, said: str) -> None:
    found = copy.deepcopy(GOOD)
    place: Any = found
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert any(said in line for line in tour.complaints(STOP, found)), tour.complaints(STOP, found)


def test_a_userland_without_a_compiler_must_have_none() -> None:
    bare = tour.Stop(kernels.kernel("debian-7.3"), "bookworm-bare")
    assert "doctor: BCC 0.31.0, the table says none" in tour.complaints(bare, GOOD)
    found = copy.deepcopy(GOOD)
    found["doctor"]["found"]["kernel"]["bcc"][0]["version"] = "none"
    found["compiled"]["found"] = {}
    assert tour.complaints(bare, found) == []
    assert tour.result(bare, found)["bcc"] == ""


def test_a_result_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    first = tour.result(STOP, GOOD)
    other = {**first, "kernel": "debian-6.1", "root": ""}
    for row in (first, other, {**first, "date": "2030-01-01"}):
        tour.keep(row, path)
    kept = json.loads(path.read_text())
    assert [(row["kernel"], row["date"]) for row in kept] == [
        ("debian-6.1", other["date"]),
        ("debian-7.3", "2030-01-01"),
    ]


def test_parts_of_an_earlier_tour_are_taken_over(tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text(json.dumps({**GOOD, "exactness": {"error": "no"}}))
    now = {part: GOOD[part] for part in ("release", "python", "doctor", "exactness")}
    found = tour.with_earlier(now, [tmp_path / "kept.json"])
    assert found == GOOD
    with pytest.raises(LabError, match=r"is of 7\.3\.4\+deb13-amd64, not of 7\.4"):
        tour.with_earlier({**now, "release": "7.4"}, [tmp_path / "kept.json"])


def test_the_page_shows_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tour, "kept", lambda: [tour.result(STOP, GOOD)])
    page = docs.page()
    assert "| `debian-7.3` | `trixie` | 7.3.4+deb13-amd64 | `fentry` | 0.31.0 | 3.13.5 | 1 of 1 |" in page
    assert "| 1 of 1 | 1 of 1 | `fentry`, `tracepoint` | 1 passed, 1 skipped | yes |" in page
    assert "- `thp_fault` on `debian-7.3`: thp: none here" in page
    assert "| program | `debian-7.3` |" in page and "| `census` | 11,032 |" in page


def test_what_was_not_tried_is_not_called_good(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {part: GOOD[part] for part in ("release", "python", "doctor", "exactness")}
    assert tour.complaints(STOP, found) == []
    monkeypatch.setattr(tour, "kept", lambda: [tour.result(STOP, found)])
    assert "| 1 of 1 | not tried | not tried | not tried | no |" in docs.page()


def test_no_tour_for_a_kernel_without_one() -> None:
    assert list(tour.stops(["lab-faulty"])) == []
    assert tour.main(["lab-faulty"]) == 125
