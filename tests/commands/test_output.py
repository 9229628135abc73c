# SPDX-License-Identifier: MIT
"""The exit status when nobody reads, nothing more can be written, or a signal comes first."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.harness import LAZYOBS, ROOT

pytestmark = pytest.mark.slow

LAB, DEBIAN = str(ROOT / "examples/lab"), str(ROOT / "examples/debian-6.12")
JUDGE = (["report", LAB, "--need-pass"], ["compare", "--base", LAB, "--new", DEBIAN, "--need-pass"])
ANSWERS = (
    *JUDGE, ["census", "--replay", LAB], ["doctor"], ["top", "--replay", LAB, "-b"], ["trace", "--replay", LAB],
    ["selftest", "--list"], ["--help"], ["--version"], ["top", "--help"],
)  # fmt: skip


@pytest.mark.parametrize("arguments", ANSWERS, ids=" ".join)
def test_a_full_disk_is_one_line(arguments):
    with open("/dev/full", "w") as full:
        done = subprocess.run([*LAZYOBS, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    told = "lazyobs: standard output: no space left on device; make room, or write somewhere else\n"
    assert (done.returncode, done.stderr) == (3, told)


@pytest.mark.parametrize("arguments", ANSWERS, ids=" ".join)
def test_closed_streams_are_no_error(arguments):
    """1 is what the two that judge have to say of these recordings."""
    script = 'exec "$@" <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", script, "sh", *LAZYOBS, *arguments], capture_output=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (1 if "--need-pass" in arguments else 0, b"")


@pytest.mark.parametrize("where", ["2>/dev/full", "2</dev/null", "2>&-", "2>&1 | true"])
@pytest.mark.parametrize("arguments", [["trace", "--replay", LAB, "--speed", "1000"], ["report", LAB, "--need-pass"]])
def test_remarks_that_cannot_be_written_change_nothing(arguments: list[str], where: str) -> None:
    """Standard error is full, closed, open to read alone, or a pipe that is closed."""
    script = f'{{ "$@" >/dev/null; echo $? >&3; }} {where}'
    read, write = os.pipe()
    with open(read) as statuses:
        script = script.replace(">&3", f">&{write}")
        subprocess.run(["bash", "-c", script, "bash", *LAZYOBS, *arguments], pass_fds=[write], cwd=ROOT, check=False)
        os.close(write)
        assert statuses.read() == ("1\n" if "--need-pass" in arguments else "0\n")


# (limit, value, exit status, words on standard error)
LIMITS = (
    (resource.RLIMIT_NOFILE, 5, ["doctor"]),
    (resource.RLIMIT_AS, 300 << 20, ["report", LAB]),
    (resource.RLIMIT_AS, 150 << 20, ["compare", "--base", LAB, "--new", DEBIAN]),
)


@pytest.mark.parametrize(("limit", "value", "arguments"), LIMITS)
def test_too_little_of_something_is_no_verdict(limit: int, value: int, arguments: list[str]) -> None:
    done = subprocess.run(
        [*LAZYOBS, *arguments], capture_output=True, text=True, cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(limit, (value, value)),
    )  # fmt: skip
    assert done.returncode == 3 and done.stdout == ""
    assert re.fullmatch(
        rf"lazyobs: {arguments[0]}: (out of memory|too many open files).*; look at ulimit -a, .*\n", done.stderr
    )


@pytest.mark.parametrize("arguments", JUDGE, ids=" ".join)
def test_a_verdict_stands_though_nobody_reads_it(arguments):
    process = subprocess.Popen([*LAZYOBS, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    process.stdout.close()
    assert (process.stderr.read(), process.wait(120)) == (b"", 1)
    process.stderr.close()


def _catches(pid: int, number: int) -> bool:
    caught = re.search(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


def _wait_for_python(pid: int) -> None:
    """Until its own start is over: there it answers Ctrl-C with a traceback, before a line of ours has run."""
    while not _catches(pid, signal.SIGINT):
        time.sleep(0.001)
    while _catches(pid, signal.SIGINT) and not _catches(pid, signal.SIGTERM):
        time.sleep(0.001)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("arguments", [["report", LAB], ["census", "--replay", LAB], ["doctor"]], ids=" ".join)
def test_no_answer_is_no_good_answer(arguments, number):
    """At any moment: either there was a whole answer, or it says that there was none, or the signal itself ended it."""
    whole = subprocess.run([*LAZYOBS, *arguments], capture_output=True, cwd=ROOT, check=True).stdout
    ends = []
    for turn in range(11):
        process = subprocess.Popen([*LAZYOBS, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
        _wait_for_python(process.pid)
        time.sleep(0.07 * turn)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=120)
        ends.append(process.returncode)
        if process.returncode == 0:
            assert stdout.count(b"\n") == whole.count(b"\n") and stderr == b""
        elif process.returncode == 3:
            told = f"lazyobs: {arguments[0]}: interrupted before there was an answer; run it again\n"
            assert stderr == told.encode()
        else:
            assert (process.returncode, stderr) == (-number, b"")  # before it is caught, or after the end
    assert any(ends)
