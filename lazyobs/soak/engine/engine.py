# SPDX-License-Identifier: MIT
"""Which engines there are, and how one makes a series of a recording."""

from __future__ import annotations

import importlib
import importlib.util
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from lazyobs.errors import NotSupported, UsageError
from lazyobs.recording.reading import Recording
from lazyobs.soak.series import Series
from lazyobs.views.text import printable

if TYPE_CHECKING:
    from lazyobs.soak.engine.views import Views

Progress = Callable[[float], None]  # is told how much is done, 0 to 1

# name: the packages it needs, as {module: package}; the code is lazyobs/soak/engine/<name>.py
ENGINES = {
    "duckdb": {"ibis": "ibis-framework", "duckdb": "duckdb"},
    "spark": {"ibis": "ibis-framework", "pyspark": "pyspark"},
}


class Backend(Protocol):
    """An engine's own part."""

    at_once: int  # recordings that it can have open

    def open(self, recording: Recording, alone: bool) -> AbstractContextManager[Views]:
        """Its tables, until the context is left; ``alone``: with no other one. RecordingError when a file is damaged."""
        ...

    def close(self) -> None: ...


class Engine:
    """Makes series of recordings. Closed, or left as a context, it gives back what it holds."""

    def __init__(self, name: str, backend: Backend) -> None:
        self.name = name
        self._backend = backend

    def series(self, path: str, progress: Progress | None = None, warm_up: float = 0.0) -> Series:
        """The recording in the directory ``path``, or at a URI. ``distributions`` and ``events`` begin ``warm_up``
        seconds behind its first sample.

        RecordingError when it is none, is damaged, or is a mixture of several.
        """
        return self.all_series([path], progress, warm_up)[0]

    def all_series(self, paths: Sequence[str], progress: Progress | None = None, warm_up: float = 0.0) -> list[Series]:
        """The series of each, in that order; several recordings are read at a time where the engine can."""
        told = _Progress(len(paths), progress or (lambda _done: None))
        alone = len(paths) == 1 or self._backend.at_once == 1
        if alone:
            return [self._series(path, told.of(place), warm_up, alone) for place, path in enumerate(paths)]
        with ThreadPoolExecutor(self._backend.at_once) as pool:
            try:
                found = [
                    pool.submit(self._series, path, told.of(place), warm_up, alone) for place, path in enumerate(paths)
                ]
                return [one.result() for one in found]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _series(self, path: str, progress: Progress, warm_up: float, alone: bool) -> Series:
        from lazyobs.soak.engine.making import make_series

        recording = Recording(path)
        try:
            with self._backend.open(recording, alone) as views:
                return make_series(recording, views, progress, warm_up)
        finally:
            recording.close()

    def close(self) -> None:
        self._backend.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class _Progress:
    """Of several recordings together, told by one at a time."""

    def __init__(self, count: int, tell: Progress) -> None:
        self._done = [0.0] * count
        self._tell, self._lock = tell, threading.Lock()

    def of(self, place: int) -> Progress:
        def tell(done: float) -> None:
            with self._lock:
                self._done[place] = done
                self._tell(sum(self._done) / len(self._done))

        return tell


def open_engine(name: str = "duckdb") -> Engine:
    """UsageError when there is none of that name, NotSupported when its libraries are missing."""
    if name not in ENGINES:
        raise UsageError(f"--engine {printable(name)}", "there is no such engine", f"use {' or '.join(ENGINES)}")
    missing = [package for module, package in ENGINES[name].items() if importlib.util.find_spec(module) is None]
    if missing:
        raise NotSupported(f"engine {name}", f"needs {' and '.join(missing)}", f"pip install {' '.join(missing)}")
    backend: Backend = importlib.import_module(f"lazyobs.soak.engine.{name}").open_backend()
    return Engine(name, backend)
