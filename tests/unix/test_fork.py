# SPDX-License-Identifier: MIT
"""A signal that comes while a process forks ends it all the same, and only once the fork is over."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable

import pytest

from lazyobs.unix import fork as fork_module
from tests.harness import python

TURNS = 211
# Senders strike before, in and after forks. One that has been waited for has sent its signal; what has not raised long
# after that is lost (a thread that received it may have to wait for a CPU first).
_STRESS = """
import logging, os, random, signal, sys, threading, time
from lazyobs.unix import interrupt
from lazyobs.unix.fork import fork

interrupt.catch()
interrupt._SAME_REQUEST = 0
threads, turns = map(int, sys.argv[1:])
for _ in range(threads):
    threading.Thread(target=lambda: [time.sleep(0.01) for _ in iter(int, 1)], daemon=True).start()
random.seed(23)
memory = bytearray(20 << 20)  # a process of some size takes a while to be copied
lost = blocked = 0
for turn in range(turns):
    sent = False
    try:
        sender = fork()
        if not sender:
            time.sleep(random.random() * 0.004)
            os.kill(os.getppid(), signal.SIGTERM)
            os._exit(0)
        while not sent:
            if not (child := fork()):
                os._exit(0)
            os.waitpid(child, 0)
            sent = os.waitpid(sender, os.WNOHANG) != (0, 0)
        time.sleep(30)
        lost += 1
    except interrupt.Interrupted:
        pass
    blocked += bool(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            break
print(lost, blocked)
"""
# A hook that is interrupted for as long as a handler needs; ``strike`` says where.
_IN_A_HOOK = """
import os, signal, sys, threading, time
from lazyobs.unix import interrupt
from lazyobs.unix.fork import fork

def strike():
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(101):
        time.sleep(0.0001)

interrupt.catch()
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
os.register_at_fork(**{sys.argv[1]: strike})
try:
    pid = fork()
    if not pid:
        os._exit(23)
    print("lost")
except interrupt.Interrupted:
    print("raised", os.waitstatus_to_exitcode(os.wait()[1]), bool(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
"""


@pytest.mark.parametrize("threads", [0, 3])
def test_a_signal_during_a_fork_is_not_forgotten(threads: int) -> None:
    assert python(_STRESS, threads, TURNS, timeout=300) == ("0 0\n", "", 0)


@pytest.mark.parametrize("hook", ["before", "after_in_parent"])
def test_a_signal_in_a_hook_raises_when_the_fork_is_over(hook: str) -> None:
    assert python(_IN_A_HOOK, hook) == ("raised 23 False\n", "", 0)


def test_a_signal_to_the_child_alone_ends_the_child() -> None:
    """As it ends a new program: the handler would unwind the parent's stack in it."""
    program = """
import os, signal, time
from lazyobs.unix import interrupt
from lazyobs.unix.fork import fork
interrupt.catch()
os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGHUP))
try:
    pid = fork()
    if not pid:
        time.sleep(60)
finally:
    print("parent", flush=True)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    assert python(program) == (f"parent\n{-signal.SIGHUP}\n", "", 0)


def test_signals_are_not_left_blocked_where_blocking_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """pthread_sigmask() runs the handlers of signals that came before, after it has blocked those that are to come."""

    class Asked(Exception):
        pass

    block = signal.pthread_sigmask

    def raises(how: int, signals: Iterable[int]) -> set[signal.Signals | int]:
        before = block(how, signals)
        if how == signal.SIG_BLOCK and signals:
            raise Asked
        return before

    monkeypatch.setattr(signal, "pthread_sigmask", raises)
    with pytest.raises(Asked):
        fork_module.fork()
    assert block(signal.SIG_BLOCK, ()) == set()


def test_another_thread_may_fork() -> None:
    status: list[int] = []

    def run() -> None:
        pid = fork_module.fork()
        if pid == 0:
            os._exit(23)
        status.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert status == [23]


# The child ends only by the signal: without it, it would still hold the pipe after its parent has gone.
_ORPHAN = """
import os, time
from lazyobs.unix.fork import die_with_parent, fork

ready, ready_write = os.pipe()
if not fork():
    die_with_parent()
    os.write(ready_write, b"x")
    time.sleep(60)
os.read(ready, 1)
"""
_LATE = """
import os
from lazyobs.unix.fork import die_with_parent

die_with_parent(parent=os.getppid() + 1)
print("still here")
"""


def test_a_child_ends_with_its_parent() -> None:
    # It returns when the last process that holds standard output has ended.
    assert python(_ORPHAN, timeout=30) == ("", "", 0)


def test_a_child_whose_parent_has_ended_already_ends_at_once() -> None:
    assert python(_LATE, timeout=30) == ("", "", 1)
