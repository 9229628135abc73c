# SPDX-License-Identifier: MIT
"""SIGINT, SIGTERM and SIGHUP ask the process to end: they raise an exception in the main thread.

Python runs a handler between two instructions, wherever the main thread is. In a callback (of a weak reference, or a
hook around a fork) it prints what the handler raises and goes on, and the request is lost. ``unix.fork`` therefore delays
the exception. Elsewhere it is lost without a word: C code that formats the message of a KeyError (getpwnam of a user
that is not there) calls repr(), which runs the handler, and raises the KeyError instead. So a timer raises it again
until it is handled: an ``except`` or ``finally`` block, or the end of a ``with``, has it as sys.exc_info(), or as the
context of that. Who catches one and goes on has to say so: ``taken``.
"""

from __future__ import annotations

import signal
import sys
import time
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LONGEST_WAIT = 1.0  # seconds
_RETRY = 0.001  # seconds until the timer asks again after a callback
_LOOK_AGAIN = 0.25  # seconds until the timer looks whether an exception was lost
# timeout(1) sends its signal twice, a terminal that closes up to three times: that is one request. Cleaning up must
# not end half-way for it; a person who wants that presses Ctrl-C again.
_SAME_REQUEST = 1.0  # seconds


class Interrupted(KeyboardInterrupt):
    """A class of its own: CPython remembers that a plain KeyboardInterrupt passed through exec() of a string
    (dataclasses are made so) and would end the process by SIGINT, caught or not."""


class _State:  # no dataclass, which the loader would import for it
    """``asked``: a signal has come; ``raised``: when that was last raised, on the monotonic clock; ``open``: that has
    neither been taken nor ended the program.

    ``held``: nothing is raised now; ``waiting``: a signal has come since. ``settled``: nothing is raised any more.
    ``ignored``: those of ENDING that this process was started to ignore.
    """

    def __init__(self) -> None:
        self.asked = self.open = self.held = self.waiting = self.settled = False
        self.raised = float("-inf")
        self.ignored: frozenset[int] = frozenset()


_state = _State()


def catch() -> None:
    """From now on those signals raise Interrupted. A SIGHUP that was ignored at the start (nohup) stays ignored."""
    _state.ignored = frozenset(number for number in ENDING if signal.getsignal(number) == signal.SIG_IGN)
    for number in (*ENDING, signal.SIGALRM):
        if number != signal.SIGHUP or number not in _state.ignored:
            signal.signal(number, _handle)
    sys.unraisablehook = _unraisable


def restore() -> None:
    """For a process that is to execute another program: the actions that signals had when lazyobs was started.

    Python ignores SIGPIPE and SIGXFSZ from its own start on, so that what these were is not known: they get the default
    action, as Python's subprocess gives them.
    """
    for number in (*ENDING, signal.SIGALRM, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN if number in _state.ignored else signal.SIG_DFL)


def asked() -> bool:
    """Whether one has come."""
    return _state.asked


def sleep(seconds: float) -> None:
    """As time.sleep(). A signal that comes just before a wait does not end it: Python looks for it when the wait is
    over. So none is longer than LONGEST_WAIT."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, LONGEST_WAIT))


def taken() -> None:
    """For an ``except`` block after which the program goes on: this request is not raised again."""
    _state.open = False
    signal.setitimer(signal.ITIMER_REAL, 0)


def settle() -> None:
    """The exit status is decided: signals change nothing any more."""
    _state.settled = True
    signal.setitimer(signal.ITIMER_REAL, 0)  # Python gives SIGALRM its default action back before it has ended


def hold() -> None:
    """What comes until ``release`` raises nothing yet. For the main thread; does not nest."""
    _state.waiting = False
    _state.held = True


def release() -> None:
    """Interrupted where a signal has come since ``hold``."""
    _state.held = False
    if _state.waiting:
        _state.waiting = False
        _raise()


def forget_in_child() -> None:
    """For a process just forked, with ENDING blocked: those that ``catch`` has caught end it, as they end a new program.
    (fork(2): it has no timer.)

    The handler would raise through the parent's stack and run its clean-up in the child; what waits is the parent's.
    """
    _state.held = _state.waiting = False
    for number in (*ENDING, signal.SIGALRM):
        if signal.getsignal(number) is _handle:
            signal.signal(number, signal.SIG_DFL)


def _handle(number: int, frame: FrameType | None) -> None:
    _state.asked = True
    if _state.settled:
        return
    if _state.held:
        _state.waiting = True
    elif _is_in_hook(frame):
        signal.setitimer(signal.ITIMER_REAL, _RETRY)  # what the hook raises is lost, too
    elif number == signal.SIGALRM:
        _look_for_lost()
    elif time.monotonic() - _state.raised >= _SAME_REQUEST:
        _raise()


def _is_in_hook(frame: FrameType | None) -> bool:
    """Whether ``frame`` is that of ``_unraisable``, or was called by it."""
    while frame is not None and frame.f_code is not _unraisable.__code__:
        frame = frame.f_back
    return frame is not None


def _look_for_lost() -> None:
    if not _state.open:
        return
    if _is_handled():
        signal.setitimer(signal.ITIMER_REAL, _LOOK_AGAIN)
    else:
        _raise()


def _is_handled() -> bool:
    """Whether the code that runs now is to clean up for an Interrupted, or handles what failed meanwhile."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, Interrupted):
        error = error.__context__
    return error is not None


def _raise() -> None:
    _state.open = True
    _state.raised = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, _LOOK_AGAIN)
    raise Interrupted


def _unraisable(lost: sys.UnraisableHookArgs) -> None:
    if not isinstance(lost.exc_value, Interrupted):
        sys.__unraisablehook__(lost)
    elif not _state.settled:
        signal.setitimer(signal.ITIMER_REAL, _RETRY)
