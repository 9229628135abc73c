# SPDX-License-Identifier: MIT
"""Every change is undone, the youngest first, also when the battery is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lazyobs.selftest.features import change
from lazyobs.selftest.settings_guard import Guardian
from tests.harness import ROOT


def _setting(directory: Path, value: str) -> Path:
    path = directory / "setting"
    path.write_text(value)
    return path


def test_restores_to_a_mark_and_the_rest_at_the_end(tmp_path: Path) -> None:
    path = _setting(tmp_path, "first")
    guardian = Guardian()
    change(guardian, str(path), "second")
    mark = guardian.records
    change(guardian, str(path), "third")
    change(guardian, str(path), "fourth")
    assert path.read_text() == "fourth"
    assert guardian.restore(mark) == []
    assert path.read_text() == "second"
    guardian.close()
    assert path.read_text() == "first"


def test_the_chosen_word_of_a_setting_is_what_is_put_back(tmp_path: Path) -> None:
    path = _setting(tmp_path, "always [madvise] never\n")
    guardian = Guardian()
    change(guardian, str(path), "madvise")
    assert guardian.records == 0
    change(guardian, str(path), "never")
    guardian.close()
    assert path.read_text() == "madvise"


@pytest.mark.slow
def test_what_cannot_be_undone_is_named(tmp_path: Path) -> None:
    guardian = Guardian()
    guardian.remember("write", str(tmp_path / "no" / "such"), "1")
    path = _setting(tmp_path, "first")
    change(guardian, str(path), "second")
    failures = guardian.restore(0)
    guardian.close()
    assert path.read_text() == "first"
    assert len(failures) == 1 and "such" in failures[0]


def test_one_battery_at_a_time(root: None, tmp_path: Path) -> None:
    lock, path = str(tmp_path / "lock"), _setting(tmp_path, "first")
    guardian = Guardian(lock)
    change(guardian, str(path), "second")
    code = "import sys; from lazyobs.selftest.settings_guard import Guardian; Guardian(sys.argv[1]); print(open(sys.argv[2]).read())"
    other = subprocess.Popen(
        [sys.executable, "-c", code, lock, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert other.stderr is not None
    assert "waiting for it to end" in other.stderr.readline()
    guardian.close()
    assert other.communicate()[0] == "first\n"


_CHANGES = """
import sys, time
from lazyobs.selftest.features import change
from lazyobs.selftest.settings_guard import Guardian
guardian = Guardian()
change(guardian, sys.argv[1], "changed")
guardian.remember("remove", sys.argv[2])
guardian.remember("remove_directory", sys.argv[3])
print(guardian.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_restores_when_the_battery_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    path, made, directory = _setting(tmp_path, "first"), tmp_path / "made", tmp_path / "directory"
    made.write_text("")
    directory.mkdir()
    command = [sys.executable, "-c", _CHANGES, str(path), str(made), str(directory)]
    battery = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT)
    assert battery.stdout is not None
    guardian = int(battery.stdout.readline())
    assert path.read_text() == "changed"
    battery.send_signal(number)
    battery.wait()
    battery.stdout.close()
    until_gone(guardian)
    assert path.read_text() == "first"
    assert not made.exists() and not directory.exists()


def until_gone(pid: int, seconds: float = 60.0) -> None:
    """Waits for a process that is not our child (or is a zombie nobody has reaped)."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":
            return
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError(f"process {pid} is still there")
