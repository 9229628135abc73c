# SPDX-License-Identifier: MIT
"""What a number of -p is, if it is no process with memory."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lazyobs.unix.process_id import NO_MEMORY, NOTHING, absent, listed, refusal, why_no_memory, why_no_process

ABSENT = 4194303


@pytest.fixture
def thread() -> Iterator[int]:
    go = threading.Event()
    one = threading.Thread(target=go.wait)
    one.start()
    assert one.native_id is not None
    yield one.native_id
    go.set()
    one.join()


def test_a_process() -> None:
    assert why_no_process(os.getpid()) == ""


def test_nothing() -> None:
    assert why_no_process(ABSENT) == why_no_memory(ABSENT) == NOTHING == "no such process"


def test_a_thread_names_its_process(thread: int) -> None:
    assert why_no_process(thread) == why_no_memory(thread) == f"{thread} is a thread of process {os.getpid()}"


def test_a_zombie() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert why_no_process(child.pid) == ""
        assert "(a zombie)" in why_no_memory(child.pid)


def made(root: Path, pid: int, status: str, flags: int, comm: str = "a") -> str:
    (root / str(pid)).mkdir()
    (root / str(pid) / "status").write_text(f"Name:\t{comm}\n{status}")
    (root / str(pid) / "stat").write_text(f"{pid} ({comm}) S 2 0 0 0 -1 {flags} 0 0\n")
    return str(root)


def test_a_kernel_thread(tmp_path: Path) -> None:
    """Its name may hold what separates the fields."""
    root = made(tmp_path, 23, "Tgid:\t23\nState:\tI (idle)\n", 0x04208060, "k) S 1 (w")
    assert why_no_process(23, root) == ""
    assert why_no_memory(23, root) == "a kernel thread, which has no memory of its own"


def test_a_process_whose_first_thread_has_ended(tmp_path: Path) -> None:
    root = made(tmp_path, 23, "Tgid:\t23\nState:\tZ (zombie)\nThreads:\t7\n", 0x00400000)
    assert "its first thread has ended" in why_no_memory(23, root)


def test_a_process_that_the_census_does_not_see(tmp_path: Path) -> None:
    root = made(tmp_path, 23, "Tgid:\t23\nState:\tS (sleeping)\nThreads:\t1\n", 0x00400000)
    assert why_no_memory(23, root) == NO_MEMORY


def test_each_of_several_has_its_reason(thread: int) -> None:
    pids = (ABSENT, thread, os.getpid())
    assert str(absent(pids, live=True)) == (
        f"-p {ABSENT},{thread},{pids[2]}: {ABSENT}: no such process, {thread} is a thread of process {pids[2]}, "
        f"{pids[2]}: {NO_MEMORY}; name a running process"
    )
    assert listed({ABSENT: NOTHING}) == NOTHING


def test_a_recording_has_its_own() -> None:
    assert str(refusal({23: NOTHING}, live=False)) == "-p 23: no such process; name one that the recording has"
