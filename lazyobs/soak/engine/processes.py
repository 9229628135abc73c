# SPDX-License-Identifier: MIT
"""Many recordings, read by a process a CPU. Threads would wait for each other: to open thousands of small files is
mostly work under the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from lazyobs.soak.engine.engine import Engine, Progress, open_engine
from lazyobs.soak.series import Series

_PR_SET_PDEATHSIG = 1  # prctl(2)

_engine: Engine | None = None  # of a process of the pool


def all_series(name: str, paths: Sequence[str], progress: Progress, warm_up: float, processes: int) -> list[Series]:
    """The series of each, in that order; the first error of any ends it."""
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may never get a lock they held
    with ProcessPoolExecutor(min(processes, len(paths)), context, _start, (name,)) as pool:
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


def _start(name: str) -> None:
    """Ctrl-C is the first process's to act on, and with it all the others end."""
    global _engine
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _engine = open_engine(name)


def _read(path: str, warm_up: float) -> Series:
    assert _engine is not None
    return _engine.one_series(path, lambda _done: None, warm_up)
