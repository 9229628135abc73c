# SPDX-License-Identifier: MIT
"""Which engines there are, and how one makes a series of a recording."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from lazyobs.errors import NotSupported, UsageError
from lazyobs.recording.reader import Recording
from lazyobs.soak.series import Series
from lazyobs.text import printable

if TYPE_CHECKING:
    from lazyobs.soak.engine.processes import Reader
    from lazyobs.soak.engine.views import Views

Progress = Callable[[float], None]  # is told how much is done, 0 to 1

_WORTH_PROCESSES = 8  # recordings: to start a process takes as long as to read one

# name: the packages it needs, as {module: package}; the code is lazyobs/soak/engine/<name>.py
ENGINES = {
    "duckdb": {"ibis": "ibis-framework", "duckdb": "duckdb"},
    "spark": {"ibis": "ibis-framework", "pyspark": "pyspark"},
}


class Backend(Protocol):
    """An engine's own part."""

    def open(self, recording: Recording) -> AbstractContextManager[Views]:
        """Its tables, until the context is left. RecordingError when a file is damaged."""
        ...

    def all_series(
        self, open_reader: Callable[[], Reader], paths: Sequence[str], progress: Progress, warm_up: float
    ) -> list[Series] | None:
        """The series of many, by several processes that call ``open_reader``; None where it has one alone."""
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
        """The series of each, in that order. Many are read by several processes of this machine, or by the executors of
        a cluster."""
        tell = progress or (lambda _done: None)
        if len(paths) >= _WORTH_PROCESSES:
            found = self._backend.all_series(open_reader, paths, tell, warm_up)
            if found is not None:
                return found
        count = len(paths)
        return [
            self.one_series(path, lambda done, place=place: tell((place + done) / count), warm_up)  # type: ignore[misc]
            for place, path in enumerate(paths)
        ]

    def one_series(self, path: str, progress: Progress, warm_up: float) -> Series:
        """The same of one recording, in this process."""
        from lazyobs.soak.engine.series_builder import make_series

        recording = Recording(path)
        try:
            with self._backend.open(recording) as views:
                return make_series(recording, views, progress, warm_up)
        finally:
            recording.close()

    def close(self) -> None:
        self._backend.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def open_reader() -> Engine:
    """What each process of several has: DuckDB on one core. An executor of Spark, too: see whole.py."""
    from lazyobs.soak.engine.duckdb import DuckDB

    return Engine("duckdb", DuckDB(threads=1))


def open_engine(name: str = "duckdb") -> Engine:
    """UsageError when there is none of that name, NotSupported when its libraries are missing."""
    if name not in ENGINES:
        raise UsageError(f"--engine {printable(name)}", "there is no such engine", f"use {' or '.join(ENGINES)}")
    missing = [package for module, package in ENGINES[name].items() if importlib.util.find_spec(module) is None]
    if missing:
        raise NotSupported(f"engine {name}", f"needs {' and '.join(missing)}", f"pip install {' '.join(missing)}")
    backend: Backend = importlib.import_module(f"lazyobs.soak.engine.{name}").open_backend()
    return Engine(name, backend)
