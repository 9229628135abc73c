# SPDX-License-Identifier: MIT
"""The exporter on the lab's kernel, where every probe attaches and nothing else runs: exact counts."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys

import pytest

from lazyobs.bpf import optional
from lazyobs.model import REASONS, WALKERS
from lazyobs.sources.open import points_but
from tests.exporter.metrics import of_page, series
from tests.exporter.test_privileges import holds_nothing
from tests.harness import ROOT
from tests.lab.guests import PATIENT, need

pytestmark = pytest.mark.lab

ISLANDS = 211


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """{"rounds": [{step: metrics}], "attempts": ...}"""
    need("lab")
    folder = tmp_path_factory.mktemp("guest")
    folder.chmod(0o755)
    source = ROOT / "tests/workloads/islands.c"
    subprocess.run(["gcc", "-O1", "-static", "-o", folder / "islands", source], check=True)
    script = ROOT / "tests/exporter/in_guest.py"
    python = ["env", f"PYTHONPATH={ROOT}", sys.executable]
    command = [*python, str(script), "/mnt/share/islands", str(ISLANDS)]
    answer = subprocess.run(
        [ROOT / "lab/run", "--share", folder, "--fail-on-splat", "--timeout", "800", "--again", "2", *PATIENT, "--", *command],
        capture_output=True, text=True,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr[-3000:]
    found = json.loads(answer.stdout)
    rounds = [{step: of_page(page.encode()) for step, page in pages.items()} for pages in found["rounds"]]
    return {**found, "rounds": rounds}


def _growth(pages: dict, step: str, after: str, name: str, **labels: str) -> float:
    key = series(name, **labels)
    return float(pages[step][key] - pages[after][key])


def _least(guest: dict, step: str, after: str, name: str, **labels: str) -> float:
    """Over the rounds: what others do meanwhile only adds."""
    return min(_growth(pages, step, after, name, **labels) for pages in guest["rounds"])


def test_touching_makes_exactly_so_many_lazy_vmas(guest: dict) -> None:
    # A scrape has a thread, and a thread (since Python 3.11) a mapping of its own: that much between two idle pages.
    own = _least(guest, "idle", "begin", "lazyobs_lazy_prepares_total")
    assert own <= 1
    assert _least(guest, "touch", "idle", "lazyobs_lazy_prepares_total") == ISLANDS + own
    assert _least(guest, "touch", "idle", "lazyobs_vmas", state="lazy") == ISLANDS
    assert _least(guest, "touch", "idle", "lazyobs_prepares_total") == 0
    assert _least(guest, "touch", "idle", "lazyobs_anon_vma_allocs_total") == 0


def test_a_fork_promotes_the_lazy_vmas_for_that_reason(guest: dict) -> None:
    for pages in guest["rounds"]:
        promoted = {r: _growth(pages, "fork", "touch", "lazyobs_promotions_total", reason=r) for r in REASONS}
        assert promoted["fork"] >= ISLANDS  # and the few that the program has besides
        assert sum(promoted.values()) == promoted["fork"]
        assert _growth(pages, "fork", "touch", "lazyobs_promotion_seconds_count") == promoted["fork"]
        assert _growth(pages, "fork", "touch", "lazyobs_forks_total") == 1
        assert _growth(pages, "fork", "touch", "lazyobs_fork_seconds_count") == 1
    lazy = _least(guest, "fork", "touch", "lazyobs_vmas", state="lazy")
    assert lazy == -_least(guest, "fork", "touch", "lazyobs_promotions_total", reason="fork")


def test_counters_never_go_backwards(guest: dict) -> None:
    pages = [page for round_ in guest["rounds"] for page in round_.values()]
    counters = [key for key in pages[0] if key[0].endswith(("_total", "_bucket", "_count"))]
    for earlier, later in itertools.pairwise(pages):
        assert [key for key in counters if later[key] < earlier[key]] == []


def test_every_probe_is_there_and_the_series_are_bounded(guest: dict) -> None:
    page = guest["rounds"][-1]["reap"]
    attached = {
        dict(labels)["probe"]: value for (name, labels), value in page.items() if name == "lazyobs_probe_attached"
    }
    assert attached == {name: name not in optional.COSTS for name in points_but("census_vmas")}
    assert 250 < len(page) <= 450
    assert len([1 for name, _ in page if name == "lazyobs_rmap_walks_total"]) == len(WALKERS)
    assert all(value == 1 for (name, _), value in page.items() if name == "lazyobs_scrape_collector_success")
    assert all(value == 0 for (name, _), value in page.items() if name == "lazyobs_kernel_tainted")


def test_also_with_function_probes_the_server_holds_nothing(guest: dict) -> None:
    attempts = guest["attempts"]
    holds_nothing(attempts)
    assert set(attempts["updates"].values()) == {"PermissionError 1"}
