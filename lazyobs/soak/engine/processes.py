# SPDX-License-Identifier: MIT
"""Many recordings, read by a process a CPU. Threads would wait for each other: to open thousands of small files is
mostly work under the interpreter's lock.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Protocol

from lazyobs.soak.series import Series
from lazyobs.unix.fork import die_with_parent


class Reader(Protocol):
    """What each process has one of."""

    def one_series(self, path: str, progress: Callable[[float], None], warm_up: float) -> Series: ...


_reader: Reader | None = None  # of a process of the pool


def all_series(
    open_reader: Callable[[], Reader],
    paths: Sequence[str],
    progress: Callable[[float], None],
    warm_up: float,
    processes: int,
) -> list[Series]:
    """The series of each, in that order; the first error of any ends it. ``open_reader`` is called in each process."""
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may never get a lock they held
    with ProcessPoolExecutor(min(processes, len(paths)), context, _start, (open_reader,)) as pool:
        asked = [pool.submit(_read, path, warm_up) for path in paths]
        try:
            for done, one in enumerate(as_completed(asked), 1):
                one.result()
                progress(done / len(paths))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()  # what it reads, nobody waits for
            raise
        return [one.result() for one in asked]


def _start(open_reader: Callable[[], Reader]) -> None:
    """Ctrl-C is the first process's to act on, and with it all the others end."""
    global _reader
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    _reader = open_reader()


def _read(path: str, warm_up: float) -> Series:
    assert _reader is not None
    return _reader.one_series(path, lambda _done: None, warm_up)
