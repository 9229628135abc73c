# SPDX-License-Identifier: MIT
"""The signals that ask for the end: raised once for a request, held back, heard in callbacks, without effect at last."""

from __future__ import annotations

import pytest

from tests.harness import python

_BEGIN = """
import os, signal, time, weakref
from lazyobs.unix import interrupt
interrupt.catch()
def ask(number=signal.SIGTERM):
    os.kill(os.getpid(), number)
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_each_of_them_raises(number: str) -> None:
    program = f"""
try:
    ask(signal.{number})
except KeyboardInterrupt as error:
    print(type(error).__name__, interrupt.asked())
"""
    assert python(_BEGIN + f"print(interrupt.asked()){program}") == ("False\nInterrupted True\n", "", 0)


def test_a_request_sent_twice_interrupts_once() -> None:
    """timeout(1) signals the process and then its group; a second request, later, counts."""
    program = """
try:
    ask()
except KeyboardInterrupt:
    ask()
    ask(signal.SIGHUP)
    print("cleaned up")
    interrupt._state.raised -= 1.01
    try:
        ask()
    except KeyboardInterrupt:
        print("again")
"""
    assert python(_BEGIN + program) == ("cleaned up\nagain\n", "", 0)


def test_what_is_held_back_is_raised_at_the_release() -> None:
    program = """
interrupt.hold()
ask()
print("held", flush=True)
try:
    interrupt.release()
except KeyboardInterrupt:
    print("raised")
interrupt.hold()
interrupt.release()
print("once")
"""
    assert python(_BEGIN + program) == ("held\nraised\nonce\n", "", 0)


# On a busy machine the timer runs out within the hook that has set it.
_AT_ONCE = """
set_timer = signal.setitimer
def at_once(*arguments):
    signal.setitimer = set_timer
    ask(signal.SIGALRM)
signal.setitimer = at_once
"""


@pytest.mark.parametrize("timer", ["", _AT_ONCE], ids=["later", "at once"])
def test_a_callback_does_not_lose_it(timer: str) -> None:
    """Python prints and forgets what is raised there, and what its hook raises."""
    program = f"""{timer}
class Thing:
    pass
thing = Thing()
reference = weakref.ref(thing, lambda _: ask())
try:
    del thing
    time.sleep(10)
except KeyboardInterrupt:
    print("heard")
"""
    assert python(_BEGIN + program) == ("heard\n", "", 0)


def test_other_exceptions_of_callbacks_are_told_as_ever() -> None:
    stdout, stderr, status = python(_BEGIN + "reference = weakref.ref(set(), lambda _: 1 / 0)")
    assert (stdout, status) == ("", 0) and "ZeroDivisionError" in stderr


def test_when_all_is_settled_signals_change_nothing() -> None:
    program = """
signal.setitimer(signal.ITIMER_REAL, 60)
interrupt.settle()
for number in interrupt.ENDING:
    ask(number)
print(signal.getitimer(signal.ITIMER_REAL))
import atexit
atexit.register(ask)
raise SystemExit(23)
"""
    assert python(_BEGIN + program) == ("(0.0, 0.0)\n", "", 23)
