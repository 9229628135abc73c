# SPDX-License-Identifier: MIT
"""Many recordings on a cluster of Spark, each read whole by one task: with DuckDB, by the code that reads one here.

A query on one recording of a day takes Spark longer to plan and to start than to run, and the driver plans one after the
other: the time of a recording would not become less with more executors. So a task is a recording, and a task whose
executor dies is done by another. The executors' Python must have this version of lazyobs with its extra "soak".
"""

from __future__ import annotations

import functools
import os
import pickle
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from lazyobs import __version__
from lazyobs.errors import LazyobsError
from lazyobs.recording.storage import is_uri
from lazyobs.soak.series import Series

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lazyobs.soak.engine.processes import Reader

# Of a job, whose answers the driver holds at once: half a megabyte each, and Spark refuses more than 1 GB of them.
_ROUND = 256
_ANSWER = "place long, answer binary"


def executors_can(session: SparkSession) -> bool:
    """Whether the Python of an executor has this lazyobs and what it reads with."""
    from pyspark.errors import PySparkException

    def version(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Goes to an executor as it is, not by its name, which might mean nothing there."""
        try:
            import lazyobs.soak.engine.duckdb  # and its libraries

            found = lazyobs.__version__
        except ImportError:
            found = ""
        for batch in batches:
            yield pa.record_batch({"version": [found] * len(batch)})

    try:
        (found,) = session.range(0, 1, 1, 1).mapInArrow(version, "version string").toArrow()["version"].to_pylist()
    except PySparkException:
        return False
    return bool(found == __version__)


def all_series(
    session: SparkSession,
    open_reader: Callable[[], Reader],
    paths: Sequence[str],
    progress: Callable[[float], None],
    warm_up: float,
) -> list[Series]:
    """The series of each, in that order; the first error of any ends it. PySparkException where the cluster fails."""
    # An executor has a current directory of its own.
    named = [path if is_uri(path) else os.path.abspath(path) for path in paths]
    found: dict[int, Series] = {}
    for first in range(0, len(named), _ROUND):
        last = min(first + _ROUND, len(named))
        rows = (
            session.range(first, last, 1, last - first)
            .mapInArrow(_Read(open_reader, named, warm_up), _ANSWER)
            .toArrow()
        )
        answers = dict(zip(rows["place"].to_pylist(), rows["answer"]))
        for place in range(first, last):
            # An executor is trusted as the driver is: Spark deserialises what it says, too.
            one = pickle.loads(zlib.decompress(answers.pop(place).as_py()))  # noqa: S301
            if isinstance(one, LazyobsError):
                raise one
            found[place] = one
        progress(last / len(named))
    return [found[place] for place in range(len(named))]


@functools.cache
def _reader(open_reader: Callable[[], Reader]) -> Reader:
    """Of an executor's Python, which Spark keeps for the next task: queries are compiled once."""
    return open_reader()


class _Read:
    """Runs on an executor: numbers of recordings in, their series or errors out, a byte string each."""

    def __init__(self, open_reader: Callable[[], Reader], paths: Sequence[str], warm_up: float) -> None:
        self._open_reader, self._paths, self._warm_up = open_reader, paths, warm_up

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for place in batch.column(0).to_pylist():
                answer: Series | LazyobsError
                try:
                    answer = _reader(self._open_reader).one_series(
                        self._paths[place], lambda _done: None, self._warm_up
                    )
                except LazyobsError as error:
                    answer = error
                packed = zlib.compress(pickle.dumps(answer, pickle.HIGHEST_PROTOCOL), 1)
                columns: list[pa.Array] = [pa.array([place], pa.int64()), pa.array([packed], pa.binary())]
                yield pa.record_batch(columns, ["place", "answer"])
