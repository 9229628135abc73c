# SPDX-License-Identifier: MIT
"""Apache Spark: the cluster that the environment names (spark-defaults.conf, SPARK_REMOTE, PYSPARK_SUBMIT_ARGS),
or this machine where it names none.

Its executors open the files themselves: directories must be where they can see them too.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce

import ibis
import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession, types
from pyspark.sql import functions as sql

from lazyobs import __version__
from lazyobs.errors import NotSupported
from lazyobs.recording.reader import Recording
from lazyobs.soak.engine import whole
from lazyobs.soak.engine.processes import Reader
from lazyobs.soak.engine.tables import TABLES, Columns, columns, is_text, read_here
from lazyobs.soak.engine.views import Compiled, Views
from lazyobs.soak.series import Series
from lazyobs.text import say

_ELSEWHERE = ("SPARK_REMOTE", "SPARK_CONF_DIR", "SPARK_HOME", "PYSPARK_SUBMIT_ARGS", "MASTER")
_ON_THIS_MACHINE = {
    "spark.master": "local[*]",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}
_SQL_TYPES = {"int64": "bigint", "float64": "double", "string": "string", "boolean": "boolean"}
# How Spark reads what a recording's Parquet files hold; it has no unsigned types.
_READ_AS: dict[pa.DataType, types.DataType] = {
    pa.int64(): types.LongType(),
    pa.float64(): types.DoubleType(),
    pa.string(): types.StringType(),
    pa.bool_(): types.BooleanType(),
    pa.uint64(): types.DecimalType(20, 0),
    pa.uint32(): types.LongType(),
    pa.uint16(): types.IntegerType(),
    pa.uint8(): types.ShortType(),
}
_RAISED = re.compile(r"^(\w+(?:\.\w+)*(?:Error|Exception)\b.*)", re.MULTILINE)
_GLOB = str.maketrans({letter: "\\" + letter for letter in "\\*?[]{},"})


class Spark:
    """One session; the views of a recording are dropped when it has been read."""

    def __init__(self, session: SparkSession) -> None:
        self._session = session
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)  # unused here
        self._ibis = ibis.pyspark.connect(session)
        self._compiled: Compiled = {}

    @contextmanager
    def open(self, recording: Recording) -> Iterator[Views]:
        made: list[str] = []
        try:
            tables = {}
            for table in TABLES:
                tables[table], rows = self._rows(recording, table)
                rows.createOrReplaceTempView(table)
                made.append(table)
            yield Views(tables, self._compiled, self._ibis.compile, lambda query: self._session.sql(query).toArrow())
        except PySparkException as error:
            raise recording.damaged("a file", str(error).splitlines()[0]) from None
        finally:
            for table in made:
                self._session.catalog.dropTempView(table)

    def _rows(self, recording: Recording, table: str) -> tuple[Columns, DataFrame]:
        runs, left = recording.parquet_files(table), recording.unfinished(table)
        if not is_text(recording.path):  # Spark opens names of UTF-8 only
            runs, left = [], recording.segments
        here = read_here(recording, table, left)
        there = {name for found, _ in runs for name in found.names}
        wanted = columns(table, there | set(here.column_names if here is not None else ()))
        parts = [self._read(recording, found, names, wanted) for found, names in runs]
        if here is not None:
            known = [name for name in wanted if name in here.column_names]
            cast = pa.schema([pa.field(name, pa.type_for_alias(wanted[name])) for name in known])
            parts.append((known, self._session.createDataFrame(here.select(known).cast(cast))))
        shown = [
            rows.select(*(_column(name, kind, name in names) for name, kind in wanted.items())) for names, rows in parts
        ]
        if shown:
            return wanted, reduce(DataFrame.unionAll, shown)
        empty = types.StructType(
            [types.StructField(name, _READ_AS[pa.type_for_alias(kind)]) for name, kind in wanted.items()]
        )
        return wanted, self._session.createDataFrame([], empty)

    def _read(
        self, recording: Recording, found: pa.Schema, names: list[str], wanted: Columns
    ) -> tuple[list[str], DataFrame]:
        known = [name for name in wanted if name in found.names]
        asked = types.StructType([types.StructField(name, _READ_AS[found.field(name).type]) for name in known])
        # Spark's name of S3 is that of its newer driver.
        paths = [re.sub("^s3://", "s3a://", recording.uri(name)).translate(_GLOB) for name in names]
        # Without that option a directory that is called number=23 would be a column.
        return known, self._session.read.schema(asked).option("recursiveFileLookup", "true").parquet(*paths)

    def all_series(
        self,
        open_reader: Callable[[], Reader],
        paths: Sequence[str],
        progress: Callable[[float], None],
        warm_up: float,
    ) -> list[Series] | None:
        """By the executors (whole.py); None where their Python cannot."""
        if not whole.executors_can(self._session):
            say(
                f"engine spark: the Python of its executors has no lazyobs {__version__} with the extra soak, so recordings"
                " are read one after the other; PYSPARK_PYTHON names one that has"
            )
            return None
        try:
            return whole.all_series(self._session, open_reader, paths, progress, warm_up)
        except PySparkException as error:
            # What a task raised stands at the end of its traceback.
            raised = _RAISED.findall(str(error)) or str(error).splitlines()
            why = f"the cluster failed ({raised[0]})"
            raise NotSupported("engine spark", why, "look at the logs of its executors") from None

    def close(self) -> None:
        self._compiled.clear()
        self._session.stop()


def _column(name: str, kind: str, there: bool) -> Column:
    return (sql.col(name) if there else sql.lit(None)).cast(_SQL_TYPES[kind]).alias(name)


def open_backend() -> Spark:
    """NotSupported where Spark does not start."""
    if not os.environ.get("SPARK_REMOTE") and not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        raise NotSupported(
            "engine spark", "needs a Java runtime", "install openjdk-17-jre-headless, or set SPARK_REMOTE"
        )
    builder = SparkSession.builder.appName("lazyobs")
    if not any(os.environ.get(name) for name in _ELSEWHERE):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        for name, value in _ON_THIS_MACHINE.items():
            builder = builder.config(name, value)
        builder = builder.config("spark.sql.shuffle.partitions", len(os.sched_getaffinity(0)))
    try:
        return Spark(builder.getOrCreate())
    except (PySparkException, OSError) as error:
        raise NotSupported("engine spark", f"does not start ({error})", "look at its configuration") from None
