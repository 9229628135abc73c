# SPDX-License-Identifier: MIT
"""What a child works out meanwhile, what is done where it cannot, and that nothing is left of it."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from lazyobs.unix.aside import Aside

BIG = {number: "x" * number for number in range(1009)}


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


@pytest.fixture(autouse=True)
def _nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> object:
    descriptors = len(os.listdir("/proc/self/fd"))
    before = children()
    # Tests before these leave threads; what a process with threads does is tried with one of its own.
    monkeypatch.setattr("lazyobs.unix.aside.threads", lambda: 1)
    yield
    assert children() == before
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_child_answers_while_this_process_goes_on() -> None:
    with Aside(lambda: (os.getpid(), BIG)) as aside:
        pid, said = aside.result()
    assert said == BIG and pid != os.getpid()


def test_nobody_has_to_ask() -> None:
    with pytest.raises(KeyError), Aside(lambda: time.sleep(1000)):
        raise KeyError


def test_a_process_with_threads_does_it_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its child would have the locks of threads that it does not have."""
    monkeypatch.setattr("lazyobs.unix.aside.threads", threading.active_count)
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        with Aside(os.getpid) as aside:
            assert aside.result() == os.getpid()
    finally:
        done.set()
        thread.join()


def _raises() -> int:
    raise ValueError(str(os.getpid()))


def test_what_it_raises_is_raised_here() -> None:
    with pytest.raises(ValueError, match=f"^{os.getpid()}$"), Aside(_raises) as aside:
        aside.result()


def _killed(of: int) -> tuple[int, bytes]:
    if os.getpid() != of:
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid(), bytes(1 << 20)


def test_a_child_that_is_killed_is_replaced() -> None:
    me = os.getpid()
    with Aside(lambda: _killed(me)) as aside:
        assert aside.result()[0] == me


def test_a_child_that_is_killed_half_way_through_its_answer_is_replaced() -> None:
    me = os.getpid()
    with Aside(lambda: (os.getpid(), bytes(1 << 20))) as aside:
        time.sleep(0.2)  # the pipe is full
        os.kill(int(children()[-1]), signal.SIGKILL)
        assert aside.result()[0] == me


def test_where_there_may_be_no_child_it_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise BlockingIOError

    monkeypatch.setattr("lazyobs.unix.aside.fork", fork)
    with Aside(os.getpid) as aside:
        assert aside.result() == os.getpid()
