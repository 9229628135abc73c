# SPDX-License-Identifier: MIT
"""``lazyobs census --orphans``"""

from __future__ import annotations

import csv
import json

import pytest

from lazyobs.errors import EXIT_REFUSED, EXIT_USAGE
from lazyobs.kernel.slab_barrier import SlabBarrier
from lazyobs.sources.account import CACHES, why_not_whole
from tests.harness import lazyobs, skip


@pytest.fixture
def countable(root: None, bpf: None) -> None:
    if why := SlabBarrier().why_not or why_not_whole():
        skip("kernel", why)


@pytest.mark.usefixtures("countable")
def test_a_row_a_cache_in_every_form() -> None:
    document = json.loads(lazyobs("census", "--orphans", "-o", "json", check=True).stdout)
    assert [row["cache"] for row in document["orphans"]] == list(CACHES)
    for row in document["orphans"]:
        assert row["held"] > 23
        if row["orphans"] is None:
            assert row["reason"] and row["live"] is None
        else:
            assert row["live"] == row["held"] + row["orphans"] and row["source"] and not row["reason"]
    assert document["residue"]
    rows = list(csv.DictReader(lazyobs("census", "--orphans", "-o", "csv", check=True).stdout.splitlines()))
    assert [row["cache"] for row in rows] == list(CACHES)
    table = lazyobs("census", "--orphans", check=True).stdout.splitlines()
    assert table[0].split() == ["CACHE", "LIVE", "HELD", "ORPHANS", "SPREAD", "LIVE", "BY"]


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["-p", "1"], EXIT_USAGE, "all processes"),
        (["--vmas"], EXIT_USAGE, "all processes"),
        (["--replay", "examples/lab"], EXIT_USAGE, "lazyobs report"),
        (["--tier", "procfs"], EXIT_REFUSED, "--tier procfs"),
    ],
)
def test_what_it_does_not_go_with(root: None, arguments: list[str], code: int, why: str) -> None:
    answer = lazyobs("census", "--orphans", *arguments)
    assert answer.returncode == code and why in answer.stderr, answer.stderr
    assert len(answer.stderr.splitlines()) == 1
