# SPDX-License-Identifier: MIT
"""What a child works out while this process does something else.

Threads of Python share one processor: one that reads a file of a thousand small pieces waits for the interpreter after
each of them, longer than the kernel takes to write it.
"""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable
from threading import active_count as threads
from types import TracebackType
from typing import Generic, TypeVar

from lazyobs.unix.fork import die_with_parent, fork

T = TypeVar("T")


class Aside(Generic[T]):
    """``function()``, which has to return, in a child. It runs here instead, and later, where this process has other
    threads (a child has theirs' locks and not them), where there may be no child, and where the child was killed."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._child = self._pipe = -1
        if threads() > 1:
            return
        self._pipe, end = os.pipe2(os.O_CLOEXEC)
        parent = os.getpid()
        try:
            self._child = fork()
        except OSError:
            self._close()
        finally:
            if self._child != 0:
                os.close(end)
        if self._child == 0:
            _answer(function, parent, end)

    def result(self) -> T:
        """What the function returned. Raises what it raises here."""
        said = b""
        if self._child > 0:
            with open(self._pipe, "rb", closefd=False) as pipe:
                said = pipe.read()
            self._close()
        try:
            return pickle.loads(said)  # type: ignore[no-any-return]  # noqa: S301 (of our own child)
        except (EOFError, pickle.UnpicklingError):  # it was killed before its end, or has raised
            return self._function()

    def __enter__(self) -> Aside[T]:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:  # fmt: skip
        self._close()

    def _close(self) -> None:
        """Nothing is left of the child."""
        if self._pipe >= 0:
            os.close(self._pipe)
        if self._child > 0:
            os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)
        self._pipe = self._child = -1


def _answer(function: Callable[[], object], parent: int, end: int) -> None:
    """The child's life."""
    try:
        die_with_parent(parent=parent)
        said = pickle.dumps(function())
        while said:
            said = said[os.write(end, said) :]
    finally:
        os._exit(0)
