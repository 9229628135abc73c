# SPDX-License-Identifier: MIT
"""DuckDB, in this process. It may open the recording's own Parquet files and nothing else: no link that leads
elsewhere, no extension, no network; and it writes nothing. What lies in an object store pyarrow reads for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import duckdb
import ibis
import pyarrow as pa
from pyarrow import dataset

from lazyobs.recording.reader import Recording
from lazyobs.recording.storage import Remote
from lazyobs.soak.engine import processes
from lazyobs.soak.engine.tables import TABLES, Columns, columns, is_text, read_here
from lazyobs.soak.engine.views import Compiled, Views
from lazyobs.soak.series import Series

_MEMORY = "1GB"
# Tables of so many columns that a file's description is longer than what is asked of it: to open it twice, once to look
# at its columns and once to read, takes twice as long as to read it here.
_WIDE = ("system",)
_SQL_TYPES = {"int64": "BIGINT", "float64": "DOUBLE", "string": "VARCHAR", "boolean": "BOOLEAN"}


class DuckDB:
    """A database in memory a recording."""

    def __init__(self, threads: int) -> None:
        self._compiled: Compiled = {}
        self._threads = threads

    @contextmanager
    def open(self, recording: Recording) -> Iterator[Views]:
        wide = _WIDE if is_text(recording.path) else TABLES  # DuckDB opens names of UTF-8 only
        files = {table: recording.parquet_files(table) if table not in wide else [] for table in TABLES}
        if isinstance(recording.place, Remote):
            connection = _connect([], self._threads)
        else:
            names = [name for runs in files.values() for _, names in runs for name in names]
            connection = _connect([_path(recording, name) for name in names], self._threads)
        try:
            tables = {}
            for table, runs in files.items():
                parts = [(found.names, _rows(connection, recording, found, names)) for found, names in runs]
                here = read_here(recording, table, recording.segments if table in wide else recording.unfinished(table))
                if here is not None:
                    parts.append((here.column_names, connection.from_arrow(here)))
                tables[table] = columns(table, {name for names, _ in parts for name in names})
                _view(connection, table, tables[table], parts)
            yield Views(
                tables,
                self._compiled,
                lambda query: str(ibis.to_sql(query, dialect="duckdb")),
                lambda sql: connection.sql(sql).to_arrow_table(),
            )
        except duckdb.Error as error:
            raise recording.damaged("a file", error) from None
        finally:
            connection.close()

    def all_series(
        self,
        open_reader: Callable[[], processes.Reader],
        paths: Sequence[str],
        progress: Callable[[float], None],
        warm_up: float,
    ) -> list[Series] | None:
        """By a process a CPU."""
        if self._threads == 1:
            return None
        return processes.all_series(open_reader, paths, progress, warm_up, self._threads)

    def close(self) -> None:
        self._compiled.clear()


def open_backend() -> DuckDB:
    return DuckDB(len(os.sched_getaffinity(0)))


def _connect(paths: list[str], threads: int = 1) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        config={
            "threads": threads,
            "memory_limit": _MEMORY,
            "temp_directory": "",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
        }
    )
    connection.execute("SET parquet_metadata_cache = true")  # several queries read the same files
    connection.execute("SET allowed_paths = ?", [paths])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _rows(
    connection: duckdb.DuckDBPyConnection, recording: Recording, found: pa.Schema, names: list[str]
) -> duckdb.DuckDBPyRelation:
    """The files of those names, with the columns ``found``. Those of a store pyarrow reads."""
    if not isinstance(recording.place, Remote):
        paths = [_path(recording, name) for name in names]
        # A directory that is called number=23 is no column.
        return connection.read_parquet(paths, hive_partitioning=False)  # type: ignore[arg-type]
    paths = [f"{recording.place.base}/{name}" for name in names]
    return connection.from_arrow(dataset.dataset(paths, found, "parquet", recording.place.system))


def _path(recording: Recording, name: str) -> str:
    return os.path.join(os.path.abspath(recording.path), name)  # what begins with ~ or s3: means something to DuckDB


def _view(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    wanted: Columns,
    parts: list[tuple[list[str], duckdb.DuckDBPyRelation]],
) -> None:
    """Makes the view of that name, with the wanted columns of all parts; null where a part lacks one."""
    shown = connection.sql("SELECT 1").filter("false").project(_columns(wanted, []))
    for number, (names, part) in enumerate(parts):
        shown = (
            part.project(_columns(wanted, names)) if number == 0 else shown.union(part.project(_columns(wanted, names)))
        )
    shown.create_view(table)


def _columns(wanted: Columns, there: list[str]) -> str:
    quoted = {name: '"' + name.replace('"', '""') + '"' for name in wanted}
    return ", ".join(
        f"CAST({quoted[name] if name in there else 'NULL'} AS {_SQL_TYPES[kind]}) AS {quoted[name]}"
        for name, kind in wanted.items()
    )
