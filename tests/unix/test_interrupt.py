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
    interrupt.taken()
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


def test_what_c_code_replaces_by_an_exception_of_its_own_is_raised_again() -> None:
    """As a real run lost it: the message of a KeyError has the name's repr(), in which the handler ran."""
    program = """
import pwd
class Name(str):
    def __repr__(self):
        ask()
        return "nobody"
try:
    try:
        pwd.getpwnam(Name("no such user"))
    except KeyError as error:
        print(error.__context__)
    time.sleep(10)
except KeyboardInterrupt:
    print("heard")
    interrupt.taken()
"""
    assert python(_BEGIN + program) == ("None\nheard\n", "", 0)


def test_cleaning_up_is_left_alone_however_long_it_takes() -> None:
    """In a block, in what it calls, in a generator, and while it handles a failure of its own."""
    program = """
def waits():
    time.sleep(0.4)
    yield "slept"
class Thing:
    def __enter__(self):
        return self
    def __exit__(self, *_):
        print(*waits(), flush=True)
try:
    with Thing():
        try:
            ask()
        finally:
            try:
                {}[1]
            except KeyError:
                print(*waits(), flush=True)
except KeyboardInterrupt:
    time.sleep(0.4)
    print("caught", flush=True)
    interrupt.taken()
time.sleep(0.4)
print("went on")
"""
    assert python(_BEGIN + program) == ("slept\nslept\ncaught\nwent on\n", "", 0)


def test_it_is_raised_until_somebody_hears_it() -> None:
    program = """
lost = 0
end = time.monotonic() + 60
try:
    while time.monotonic() < end:
        try:
            if not lost:
                ask()
            time.sleep(10)
        except BaseException:
            lost += 1
            if lost == 3:
                raise
except KeyboardInterrupt:
    print(lost)
    interrupt.taken()
"""
    assert python(_BEGIN + program) == ("3\n", "", 0)


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
