# SPDX-License-Identifier: MIT
"""Killed in the middle, the battery leaves nothing behind: no process, swap, setting or mount."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lazyobs.selftest import features
from tests.harness import LAZYOBS, ROOT, skip

pytestmark = pytest.mark.slow

SETTINGS = ("/sys/kernel/mm/ksm", "/sys/kernel/mm/transparent_hugepage")
_COUNTS = ("pages_", "full_scans", "general_profit", "stable_node_chains", "stable_node_dups", "ksm_zero_pages")


def _settings() -> dict[str, str]:
    found = {}
    for root in SETTINGS:
        for path in Path(root).rglob("*"):
            ours = path.is_file() and os.access(path, os.R_OK) and "/stats/" not in str(path)
            if ours and (path.name == "pages_to_scan" or not path.name.startswith(_COUNTS)):
                found[str(path)] = path.read_text()
    return found


def _state() -> dict[str, object]:
    return {
        "swaps": [line.split()[0] for line in Path("/proc/swaps").read_text().splitlines()[1:]],
        "zram": sorted(path.name for path in Path("/sys/block").glob("zram*")),
        "settings": _settings(),
        "mounts": Path("/proc/mounts").read_text(),
        "files": sorted(str(path) for path in Path("/var/tmp").glob("lazyobs-*")),
    }


def _descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        for child in map(int, (thread / "children").read_text().split()):
            found |= {child} | _descendants(child)
    return found


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(true: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + 90
    while not true():
        assert time.monotonic() < limit, what
        time.sleep(0.01)


def _has_our_swap(before: dict[str, object]) -> bool:
    return len(Path("/proc/swaps").read_text().splitlines()) > 1 + len(before["swaps"])  # type: ignore[arg-type]


def _ksm_runs(_before: dict[str, object]) -> bool:
    return Path("/sys/kernel/mm/ksm/run").read_text() == "1\n"


@pytest.mark.parametrize(
    ("only", "is_under_way", "number"),
    [
        ("exit_amid_swap", _has_our_swap, signal.SIGKILL),
        ("exit_amid_swap", _has_our_swap, signal.SIGTERM),
        ("exit_amid_ksm", _ksm_runs, signal.SIGKILL),
        ("fork_chain", lambda _before: True, signal.SIGKILL),
        ("fork_chain", lambda _before: True, signal.SIGINT),
    ],
)
def test_leaves_nothing(
    bpf: None, only: str, is_under_way: Callable[[dict[str, object]], bool], number: signal.Signals
) -> None:
    why = features.missing(tuple(name for name in ("swap", "ksm") if name in only))
    if why:
        skip("kernel", why)
    before = _state()
    command = [*LAZYOBS, "selftest", "--only", only, "--repeat", "50"]
    battery = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert battery.stdout is not None
    while not battery.stdout.readline().startswith("ok 1 "):
        assert battery.poll() is None
    _until(lambda: is_under_way(before), "the scenario does not get under way")
    _until(lambda: len(_descendants(battery.pid)) >= 2, "guardian and worker do not come up")
    started = _descendants(battery.pid)
    battery.send_signal(number)
    # Everyone who has this pipe, or its standard error, is gone when it closes: the guardian is last.
    rest = battery.stdout.read()
    status = battery.wait()
    battery.stdout.close()
    _until(lambda: not any(map(_alive, started)), f"of {started} some live on")
    if number == signal.SIGKILL:
        assert status == -signal.SIGKILL
    else:
        assert status == 3
        assert rest.rstrip().splitlines()[-1].startswith("Bail out! ")
    assert _state() == before
