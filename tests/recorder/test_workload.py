# SPDX-License-Identifier: MIT
"""The signals of a recorded command are those of the shell that started lazyobs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.harness import LAZYOBS, ROOT, lazyobs

pytestmark = [pytest.mark.slow, pytest.mark.bpf]
_IGNORED = "grep ^SigIgn: /proc/self/status"


def ignored_in_command(path: Path, *before: str) -> tuple[str, str]:
    """(signals ignored by a recorded command, the same without lazyobs), as the kernel's masks."""
    recorded = subprocess.run(
        [*before, *LAZYOBS, "record", "-o", str(path), "--tier", "procfs", "--progress", "none", "--", "sh", "-c", _IGNORED],
        capture_output=True, text=True, cwd=ROOT, timeout=120, stdin=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    plain = subprocess.run([*before, "sh", "-c", _IGNORED], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)  # fmt: skip
    return recorded.stdout, plain.stdout


def with_these_ignored(*ignored: signal.Signals) -> tuple[str, ...]:
    """What to put before a command. Python ignores SIGPIPE and SIGXFSZ; what started the tests may ignore others."""
    program = (
        "import os, signal, sys\n"
        "for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:\n"
        f"    signal.signal(number, signal.SIG_IGN if number in {[number.value for number in ignored]} else signal.SIG_DFL)\n"
        "os.execvp(sys.argv[1], sys.argv[1:])"
    )
    return sys.executable, "-c", program


def numbers(status: str) -> int:
    """The mask of a line of /proc/PID/status, without the signals that libc keeps to itself, which nothing can set."""
    return int(status.split()[1], 16) & sum(1 << number - 1 for number in signal.valid_signals())


def test_no_signal_that_python_ignores_is_ignored(root: None, tmp_path: Path) -> None:
    recorded, plain = ignored_in_command(tmp_path / "r", *with_these_ignored())
    assert recorded == plain and numbers(recorded) == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_what_the_caller_ignores_stays_ignored(root: None, tmp_path: Path, number: signal.Signals) -> None:
    recorded, plain = ignored_in_command(tmp_path / "r", *with_these_ignored(number))
    assert recorded == plain and numbers(recorded) == 1 << number - 1


def test_nohup(root: None, tmp_path: Path) -> None:
    """A hangup does not end it, SIGTERM does."""
    recorder = subprocess.Popen(
        ["nohup", *LAZYOBS, "record", "-o", str(tmp_path / "r"), "--tier", "procfs", "--interval", "0.1", "--progress", "json"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert recorder.stdout is not None
    recorder.stdout.readline()
    recorder.send_signal(signal.SIGHUP)
    for _ in range(10):
        assert recorder.stdout.readline()
    assert recorder.poll() is None
    recorder.terminate()
    assert recorder.wait(60) == 0


def test_the_directory_is_removed_while_it_records(root: None, tmp_path: Path) -> None:
    recorder = subprocess.Popen(
        [*LAZYOBS, "record", "-o", str(tmp_path / "r"), "--tier", "procfs", "--interval", "0.1", "--progress", "none"],
        cwd=ROOT, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not list((tmp_path / "r").glob("samples-*")):
        time.sleep(0.05)
    recorder.send_signal(signal.SIGSTOP)  # or it makes another file meanwhile
    for file in (tmp_path / "r").iterdir():
        file.unlink()
    os.rmdir(tmp_path / "r")
    recorder.send_signal(signal.SIGCONT)
    _, err = recorder.communicate(timeout=60)
    assert recorder.returncode == 3
    notice, line = err.splitlines()
    assert "tier procfs" in notice and "its directory was removed" in line


def test_the_last_line_has_the_size_of_the_directory(root: None, tmp_path: Path) -> None:
    from lazyobs.text import size

    done = lazyobs("record", "-o", str(tmp_path / "r"), "--tier", "procfs", "--interval", "0.1", "--duration", "2")
    assert done.returncode == 0, done.stderr
    held = sum(file.stat().st_size for file in (tmp_path / "r").iterdir())
    assert f"  {size(held)}  " in done.stderr.splitlines()[-1]
