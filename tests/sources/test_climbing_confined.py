# SPDX-License-Identifier: MIT
"""A source that climbs in a confined place, and from files that only root may read."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.confined import NAMED, Place, need, with_only
from tests.exporter.metrics import Series, of_page, series
from tests.exporter.starting import Exporter
from tests.harness import ROOT, lazyobs
from tests.sources.slow_loader import LONG, Held, sleeping, until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("root", "bpf")]

# It stays root, and reads smaps in a process of its own: the one that serves must not end the loader.
STAYS_ROOT = Place("without CAP_SETUID", "bpf", with_only("bpf", "perfmon", "syslog", "sys_ptrace"))
PREPARES, LOADING = series("lazyobs_prepares_total"), series("lazyobs_probes_loading")
LATE = (sys.executable, "-m", "tests.commands.late_imports")


@contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """SIGTERM for the process below the commands of a place, and a wait for all of them, when the block ends."""
    try:
        yield
    finally:
        below = process.pid
        while found := Path(f"/proc/{below}/task/{below}/children").read_text().split():
            if Path(f"/proc/{below}/comm").read_text() != "unshare\n":
                break
            below = int(found[0])
        os.kill(below, 15)
        process.wait(LONG)


@contextmanager
def exporting(command: list[str], environment: dict[str, str]) -> Iterator[tuple[Exporter, str]]:
    """(the exporter, what it said before it served)."""
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    assert process.stderr is not None
    with _ended(process):
        said = ""
        for line in process.stderr:
            said += line
            if found := re.search(r"serving (http://\S+)/metrics", line):
                threading.Thread(target=process.stderr.read, daemon=True).start()
                yield Exporter(found[1], process.pid), said
                return
        raise AssertionError(said)


def _page(exporter: Exporter) -> dict[Series, float]:
    return of_page(exporter.get(seconds=90))


def _climb(exporter: Exporter, held: Held) -> tuple[dict[Series, float], dict[Series, float]]:
    """(a page before it climbs, a page after)."""
    before = _page(exporter)
    assert before[LOADING] == 1 and PREPARES not in before
    held.go_on()
    until(lambda: _page(exporter)[LOADING] == 0)
    after = _page(exporter)
    assert after[PREPARES] >= 0
    return before, after


EXPORT = ("export", "--listen", "127.0.0.1:0", "--seconds", "60")


@pytest.mark.parametrize(
    "place",
    [
        NAMED["container"],
        NAMED["needed capabilities"],
        STAYS_ROOT,
        NAMED["/proc with hidepid=2"],
        NAMED["home of mode 0700"],
    ],
    ids=lambda place: place.name,
)
def test_an_exporter_climbs_in_a_confined_place(tmp_path: Path, place: Place) -> None:
    held = Held(tmp_path)
    need(place, tmp_path)
    environment = place.environ(tmp_path) | held.environment
    with exporting(place.command(tmp_path, *EXPORT), environment) as (exporter, said):
        before, after = _climb(exporter, held)
    assert said.count("\n") == 2 and "it climbs by itself" in said
    succeeded = series("lazyobs_scrape_collector_success", collector="census")
    assert before[series("lazyobs_vmas", state="anonymous")] > 0
    counted = {key for key in after if key[0] == "lazyobs_vmas"}
    if place.name == "container":
        # The counters are the host's by now, and next to them the VMAs of one container would look like the host's.
        assert "in a pid namespace" in said and not counted and after[succeeded] == 0
    else:
        assert sum(after[key] for key in counted) > 0 and after[succeeded] == 1
    assert ("CAP_SETUID is missing" in said) == (place.name in ("needed capabilities", STAYS_ROOT.name))


def _no_late_imports(log: Path) -> None:
    assert log.read_text() == ""


def test_an_exporter_climbs_without_late_imports(tmp_path: Path) -> None:
    held, log = Held(tmp_path), tmp_path / "late"
    environment = held.environment | {"LATE_IMPORTS": str(log)}
    with exporting([*LATE, *EXPORT], environment) as (exporter, _):
        _climb(exporter, held)
    _no_late_imports(log)


def _tiers(folder: Path) -> dict[str, str]:
    path = folder / "recording.json"
    return json.loads(path.read_text())["identity"]["tiers"] if path.exists() else {}


def test_a_recording_climbs_without_late_imports(tmp_path: Path) -> None:
    held, log, folder = Held(tmp_path), tmp_path / "late", tmp_path / "r"
    command = [*LATE, "record", "-o", str(folder), "--interval", "0.5", "--progress", "none"]
    environment = {**os.environ, **held.environment, "LATE_IMPORTS": str(log)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, text=True)
    with _ended(process):
        until(lambda: _tiers(folder) == {"census": "procfs"}, process)
        held.go_on()
        until(lambda: "slab" in _tiers(folder), process)
    assert process.returncode == 0
    _no_late_imports(log)


def test_a_recording_in_a_pid_namespace_waits_for_its_pids(tmp_path: Path) -> None:
    """The pids of /proc are those of the namespace, the probes' those of the host: one recording has one kind."""
    place, folder = NAMED["pid namespace"], tmp_path / "r"
    need(place, tmp_path)
    environment = {**place.environ(tmp_path), **sleeping(tmp_path, 12)}
    done = place.run(tmp_path, "record", "-o", str(folder), "--duration", "0.5", "--progress", "none", env=environment)
    assert done.returncode == 0 and "starting the loader" in done.stderr and "for now" not in done.stderr, done.stderr
    shown = lazyobs("top", "--replay", str(folder), "-b", "-o", "json", "--speed", "1000")
    found = [json.loads(line) for line in shown.stdout.splitlines()]
    assert found and all(one["totals"]["forks"] is not None for one in found)
