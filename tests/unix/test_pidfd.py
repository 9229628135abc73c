# SPDX-License-Identifier: MIT
"""The processes of -p: there, ended, threads, numbers of nobody."""

from __future__ import annotations

import os
import subprocess
import threading

import pytest

from lazyobs.errors import UsageError
from lazyobs.unix.pidfd import ProcessWaiter

ABSENT = 4194303


def test_all_have_ended_when_the_last_one_has() -> None:
    with subprocess.Popen(["sleep", "60"]) as one, subprocess.Popen(["sleep", "60"]) as other:
        watched = ProcessWaiter((one.pid, ABSENT, other.pid))
        assert not watched.have_ended()
        one.kill()
        one.wait()
        assert not watched.have_ended()
        other.kill()
        other.wait()
        assert watched.have_ended() and watched.have_ended()
        watched.close()


def test_nobody_watched_never_ends() -> None:
    assert not ProcessWaiter(()).have_ended()


def test_what_is_no_process() -> None:
    """A number of nobody's, and that of a thread."""
    with pytest.raises(UsageError, match="no such process"):
        ProcessWaiter((ABSENT,))
    go = threading.Event()
    thread = threading.Thread(target=go.wait)
    thread.start()
    try:
        with pytest.raises(UsageError):
            ProcessWaiter((thread.native_id or 0,))
    finally:
        go.set()
        thread.join()


def test_nothing_stays_open() -> None:
    before = os.listdir("/proc/self/fd")
    ProcessWaiter((os.getpid(),)).close()
    assert os.listdir("/proc/self/fd") == before
